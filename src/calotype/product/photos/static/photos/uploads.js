/*
 * Uploads that go on while one is browsing: every page loads this when something is on its way, and shows how far it is.
 */

// @ts-check

import { gettext, ngettext } from "../web/words.js";
import { say, toast } from "../web/say.js";
import { drafts, flag, progressOf } from "./drafts.js";
import "./problem.js";
import { listen, start } from "./queue.js";

/** How much of each file has left, by transfer. @type {Map<string, number>} */
const sent = new Map();
let waiting = false;
let due = false;
const SHOW_MS = 250;
/** @type {HTMLElement | undefined} */
let chip;

/** Once a page. The page of a new post shows all of it by itself. */
if (!document.querySelector("form[data-upload]")) {
  listen((news) => {
    if (news.type === "sent") sent.set(news.transfer, news.sent);
    if (news.type === "waiting") waiting = news.waiting;
    if (news.type === "posted") posted(news);
    if (!due) setTimeout(() => void show(), SHOW_MS);
    due = true;
  });
  start();
  void flag();
  void show();
}

/** @param {import("./queue.js").Posted} news */
function posted({ posts, stored, notes }) {
  if (document.visibilityState !== "visible") return;
  const go = () => location.assign(posts.length === 1 ? `/p/${posts[0]}/` : "/");
  const sentence = ngettext("Your photo is posted.", "Your {n} photos are posted.", stored);
  toast(sentence, { action: { label: gettext("See it"), run: go } });
  for (const note of notes) toast(note, { error: true });
}

async function show() {
  due = false;
  // Whoever is still writing is not told about it elsewhere.
  const submitted = (await drafts()).filter((draft) => draft.submitted);
  const { photos, arrived, share } = await progressOf(submitted, sent);
  if (!photos) {
    chip?.remove();
    chip = undefined;
    return;
  }
  chip ??= made();
  const [bar, words] = [chip.querySelector("progress"), chip.querySelector("a")];
  if (bar) bar.value = share;
  const text = waiting
    ? gettext("Waiting for the network: {done} of {all} photos uploaded", { done: arrived, all: photos })
    : gettext("{done} of {all} photos uploaded", { done: arrived, all: photos });
  if (words) words.textContent = text;
}

function made() {
  const place = document.createElement("aside");
  place.className = "upload-chip";
  place.setAttribute("aria-label", gettext("Uploads"));
  const link = document.createElement("a");
  link.href = "/new/";
  const bar = document.createElement("progress");
  bar.setAttribute("aria-hidden", "true");
  place.append(bar, link);
  document.querySelector("[data-toasts]")?.before(place);
  say(gettext("Your photos go on uploading while you browse."));
  return place;
}
