/*
 * What every page has once somebody is signed in. A page's own modules come beside it (`{% block modules %}`).
 */

// @ts-check

import "./live.js";
import "./offline.js";
