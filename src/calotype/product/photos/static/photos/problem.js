/*
 * What stops a draft, said with what helps: on the page of a new post, and on any other that is looked at.
 */

// @ts-check

import { toast } from "../web/say.js";
import { gettext } from "../web/words.js";
import { listen } from "./queue.js";

/** @type {HTMLElement | undefined} */
let signedOut;

listen((news) => {
  if (news.type === "transfer" || news.type === "posted") signedOut?.remove(); // It goes on.
  if (news.type !== "problem") return;
  if (document.visibilityState !== "visible" && !document.querySelector("form[data-upload]")) return;
  if (!news.signedOut) return void toast(news.sentence, { error: true });
  if (signedOut?.isConnected) return; // Once for all drafts, and for each time that it is tried in vain.
  const run = () => void open("/log-in/", "_blank", "noopener");
  signedOut = toast(news.sentence, { error: true, action: { label: gettext("Log in in a new tab"), run } });
});
