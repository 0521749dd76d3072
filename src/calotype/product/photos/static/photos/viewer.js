/*
 * A photograph over the whole window: zoomed around the pointer by wheel, pinch and two taps, moved by dragging, turned by
 * swipes, arrows and keys; on to the next post and back. Loaded when it is first wanted.
 *
 * What is shown at once is the picture that the page has; over it comes one that is wide enough for the window, and of what is
 * zoomed the largest there is.
 */

// @ts-check

import { fragment, ask, Refused } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext } from "../web/words.js";
import { Zoom } from "./zoom.js";

/** @typedef {{post: Element, photos: Element[], at: number}} Place */

/** @type {HTMLDialogElement | undefined} */
let dialog;
/** @type {Zoom} */
let zoom;
/** @type {Place} */
let place;
/** Where one came from. @type {HTMLElement | null} */
let from;
/** Whether a post from elsewhere is on its way. */
let fetching = false;

/** @param {Element} photo a `.photo` of a post in the page */
export function open(photo) {
  const post = photo.closest("[data-post]");
  if (!post) return;
  from = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  dialog ??= made();
  const photos = photosOf(post);
  go({ post, photos, at: Math.max(0, photos.indexOf(photo)) });
  dialog.showModal();
}

/** @param {Element} post */
function photosOf(post) {
  return [...post.querySelectorAll(".photo")];
}

function made() {
  const made = document.createElement("dialog");
  made.className = "viewer";
  made.innerHTML = `<div class="viewer-stage"><div class="viewer-photo"></div></div>
    <p class="viewer-words"></p>
    <button class="act viewer-close" type="button">×</button>
    <button class="act viewer-previous" type="button"></button>
    <button class="act viewer-next" type="button"></button>`;
  const stage = /** @type {HTMLElement} */ (made.querySelector(".viewer-stage"));
  name(made, ".viewer-close", gettext("Close"), () => made.close());
  name(made, ".viewer-previous", gettext("Previous photo"), () => turn(-1), "chevron-left");
  name(made, ".viewer-next", gettext("Next photo"), () => turn(1), "chevron-right");
  made.addEventListener("close", closed);
  made.addEventListener("keydown", pressed);
  zoom = new Zoom(stage, /** @type {HTMLElement} */ (stage.firstElementChild), {
    swiped: (step) => turn(step * direction()),
    dismissed: () => made.close(),
    zoomed: sharpen,
  });
  document.body.append(made);
  return made;
}

/**
 * @param {HTMLDialogElement} inside
 * @param {string} selector
 * @param {string} label
 * @param {() => void} run
 * @param {string} [icon]
 */
function name(inside, selector, label, run, icon) {
  const button = /** @type {HTMLElement} */ (inside.querySelector(selector));
  button.setAttribute("aria-label", label);
  button.title = label;
  button.addEventListener("click", run);
  const drawn = document.querySelector("svg.icon")?.cloneNode(true);
  if (!icon || !(drawn instanceof Element)) return;
  const use = drawn.querySelector("use");
  use?.setAttribute("href", (use.getAttribute("href") ?? "").replace(/#.*/, `#${icon}`));
  button.append(drawn);
}

/** Show a photo. @param {Place} next */
function go(next) {
  place = next;
  const photo = next.photos[next.at];
  const frame = dialog?.querySelector(".viewer-photo");
  const words = dialog?.querySelector(".viewer-words");
  const picture = photo?.querySelector("picture")?.cloneNode(true);
  const shown = photo?.querySelector("picture img");
  if (!dialog || !frame || !words || !(picture instanceof Element) || !(shown instanceof HTMLImageElement)) return;
  const under = document.createElement("img");
  under.src = shown.currentSrc || shown.src;
  under.alt = "";
  for (const img of picture.querySelectorAll("img")) {
    img.loading = "eager";
    img.removeAttribute("fetchpriority");
  }
  frame.replaceChildren(under, picture);
  zoom.reset(natural(shown));
  widen("100vw");
  const by = next.post.querySelector(".post-head .name")?.textContent?.trim() ?? "";
  const total = next.photos.length;
  const count = total > 1 ? gettext("{n} of {total}", { n: next.at + 1, total }) : "";
  words.textContent = [by, count, shown.alt].filter(Boolean).join(" · ");
  dialog.setAttribute("aria-label", words.textContent);
  if (dialog.open) say(words.textContent); // else the name of what opens says it
}

/** Width by height, as the photograph is. @param {HTMLImageElement} img */
function natural(img) {
  return Number(img.getAttribute("width")) / Number(img.getAttribute("height")) || 1;
}

/** Let the browser choose a file for this width. @param {string} sizes */
function widen(sizes) {
  for (const each of dialog?.querySelectorAll(".viewer-photo :is(source, picture img)") ?? []) {
    if (each.getAttribute("sizes") !== sizes) each.setAttribute("sizes", sizes);
  }
}

/** @param {number} scale */
function sharpen(scale) {
  if (scale > 1) widen("9999px");
}

/** @param {number} step in the order of reading */
function turn(step) {
  const at = place.at + step;
  if (at >= 0 && at < place.photos.length) go({ ...place, at });
  else void move(step);
}

/** To another post: it is shown from its first photo on, or from its last when one goes back. @param {number} step */
async function move(step) {
  if (fetching) return;
  const post = await beside(place.post, step);
  if (!post) return say(step > 0 ? gettext("There is nothing older.") : gettext("There is nothing newer."));
  const photos = photosOf(post);
  go({ post, photos, at: step < 0 ? photos.length - 1 : 0 });
  // The feed goes along: it loads what comes next, and one finds oneself there afterwards.
  if (post.isConnected) post.scrollIntoView({ behavior: "instant" });
}

/**
 * The post beside one: that in the page, or of the same author.
 * @param {Element} post
 * @param {number} step
 * @returns {Promise<Element | null>}
 */
async function beside(post, step) {
  if (post.parentElement?.matches("[data-feed]")) {
    return step > 0 ? post.nextElementSibling : post.previousElementSibling;
  }
  const [author, id] = [post.getAttribute("data-author"), post.getAttribute("data-post")];
  if (!author || !id) return null;
  fetching = true;
  try {
    const place = step > 0 ? "max_id" : "min_id";
    const found = /** @type {{id: string}[]} */ (
      await ask(`/api/v1/accounts/${author}/statuses?limit=1&${place}=${id}`)
    );
    const next = found[0];
    return next ? (await fragment(`/p/${next.id}/`)).querySelector("[data-post]") : null;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    toast(error.message || gettext("The site cannot be reached."), { error: true });
    return null;
  } finally {
    fetching = false;
  }
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const does = {
    ArrowLeft: () => turn(-direction()),
    ArrowRight: () => turn(direction()),
    j: () => void move(1),
    k: () => void move(-1),
    f: () => dialog?.close(),
    "+": () => zoom.by(1.5),
    "=": () => zoom.by(1.5),
    "-": () => zoom.by(1 / 1.5),
    0: () => zoom.by(0),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  event.stopPropagation();
  does();
}

function direction() {
  return document.documentElement.dir === "rtl" ? -1 : 1;
}

/** Back to where one was; or to the post that one has gone on to. */
function closed() {
  const { post, photos, at } = place;
  dialog?.querySelector(".viewer-photo")?.replaceChildren();
  if (!post.isConnected) return location.assign(`/p/${post.getAttribute("data-post")}/`);
  const slides = photos[at]?.parentElement;
  if (slides?.matches(".slides")) slides.scrollTo({ left: at * slides.clientWidth * direction(), behavior: "instant" });
  if (from?.isConnected && post.contains(from)) from.focus({ preventScroll: true });
  else if (post instanceof HTMLElement) post.focus({ preventScroll: true });
}
