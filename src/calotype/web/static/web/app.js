/*
 * What every page has once somebody is signed in. A page's own modules come beside it (`{% block modules %}`).
 */

// @ts-check

import "./keys.js";
import "./live.js";
import "./offline.js";

// Uploads go on from page to page. They load only where there are some; their flag is set by photos/drafts.js.
const UPLOADS = "calotype-uploads";
const upload = () => import("../photos/uploads.js");

try {
  if (localStorage.getItem(UPLOADS)) void upload();
} catch {
  // Storage is switched off: nothing can be waiting in it.
}
addEventListener("storage", (event) => {
  if (event.key === UPLOADS && event.newValue) void upload();
});
