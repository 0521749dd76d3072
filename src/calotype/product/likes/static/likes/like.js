/*
 * Likes that show at once: by the button, and by two taps on a photograph. One that fails is taken back, and says why. A finger
 * that leaves the button has liked: the click comes 20 ms later on a phone, as long as the frame takes after it.
 *
 * `calotype:unsent`, cancelable, on the document: a like could not be sent since the site cannot be reached. Whoever
 * prevents its default sends it later (`detail`: `path`, `fields`, `key`), and what is shown stays. `calotype:sent`: it was;
 * `calotype:stands`: what this page shows is older than the last one.
 */

// @ts-check

import { newKey, Refused, send } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext, ngettext, number } from "../web/words.js";

const TWO_TAPS_MS = 300;
const TWO_TAPS_PX = 30;
const BURST_MS = 900;
/** A finger that stays longer does not click. */
const TOUCH_MS = 450;
/** A click that comes later is another one. */
const CLICK_MS = 700;

/** Posts with a request under way. @type {Set<string>} */
const busy = new Set();

/** @type {{at: number, x: number, y: number, on: EventTarget | null}} */
let tapped = { at: 0, x: 0, y: 0, on: null };

/** The like button that a finger is on, or has just left: then its click is answered already. */
let finger = { form: /** @type {HTMLFormElement | null} */ (null), down: 0, up: 0 };

document.addEventListener("pointerdown", (event) => {
  finger = { form: event.pointerType === "touch" ? likedBy(event) : null, down: event.timeStamp, up: 0 };
});

document.addEventListener("pointerup", (event) => {
  const { form, down } = finger;
  if (!form || event.timeStamp - down > TOUCH_MS || likedBy(event) !== form || !isOver(event)) return;
  finger.up = event.timeStamp;
  void turn(form, !isLiked(form));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset["like"] === undefined) return;
  event.preventDefault();
  const answered = finger.form === form && finger.up > 0 && event.timeStamp - finger.up < CLICK_MS;
  finger.form = null;
  if (!answered) void turn(form, !isLiked(form));
});

// Not `dblclick`: some phones keep it to themselves.
document.addEventListener("pointerup", (event) => {
  const photo = event.target instanceof Element ? event.target.closest(".photo") : null;
  if (!photo || !event.isPrimary || event.button !== 0 || onControl(event)) return;
  const second =
    tapped.on === photo &&
    event.timeStamp - tapped.at < TWO_TAPS_MS &&
    Math.hypot(event.clientX - tapped.x, event.clientY - tapped.y) < TWO_TAPS_PX;
  tapped = second
    ? { at: 0, x: 0, y: 0, on: null }
    : { at: event.timeStamp, x: event.clientX, y: event.clientY, on: photo };
  const form = second && photo.closest("[data-post]")?.querySelector("[data-like]");
  if (!(form instanceof HTMLFormElement)) return;
  burst(photo, form);
  if (!isLiked(form)) void turn(form, true);
});

document.addEventListener("calotype:stands", (event) => {
  const { path } = /** @type {CustomEvent<{path: string}>} */ (event).detail;
  const [, post, un] = /^\/p\/(\d+)\/(un)?like\/$/.exec(path) ?? [];
  if (!post || busy.has(post)) return;
  for (const form of document.querySelectorAll(`[data-like="${post}"]`)) {
    if (form instanceof HTMLFormElement && isLiked(form) === Boolean(un)) show(form, !un, likes(form) + (un ? -1 : 1));
  }
});

/** The form whose button was touched. @param {PointerEvent} event @returns {HTMLFormElement | null} */
function likedBy(event) {
  const button = event.isPrimary && event.target instanceof Element ? event.target.closest("[data-like] button") : null;
  return button instanceof HTMLButtonElement ? button.form : null;
}

/** Whether the finger is still over what it has touched, which hears of it wherever it goes. @param {PointerEvent} event */
function isOver(event) {
  const over = document.elementFromPoint(event.clientX, event.clientY);
  return event.target instanceof Element && over?.closest("button") === event.target.closest("button");
}

/** @param {Event} event */
function onControl(event) {
  return event.target instanceof Element && event.target.closest("a, button") !== null;
}

/** @param {HTMLFormElement} form */
function isLiked(form) {
  return form.querySelector("[aria-pressed]")?.getAttribute("aria-pressed") === "true";
}

/** The heart answers the touch, in the next frame; all else comes after that, or with the page's end. @returns {Promise<void>} */
function afterFrame() {
  return new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    for (const end of ["pagehide", "visibilitychange"]) addEventListener(end, () => done(), { once: true });
  });
}

/**
 * Show it, then send it. What is pressed while a request is under way is sent after it, if it still differs.
 * @param {HTMLFormElement} form
 * @param {boolean} liked
 */
async function turn(form, liked) {
  const id = form.dataset["like"] ?? "";
  show(form, liked, likes(form) + (liked ? 1 : -1));
  if (busy.has(id)) return;
  busy.add(id);
  let now = !liked;
  try {
    await afterFrame();
    while (now !== isLiked(form)) now = await sent(form, isLiked(form));
  } catch (error) {
    if (isLiked(form) !== now) show(form, now, likes(form) + (now ? 1 : -1));
    toast(reason(error), { error: true });
  } finally {
    busy.delete(id);
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {boolean} liked
 * @returns {Promise<boolean>} what the site knows now, or will once it can be reached
 */
async function sent(form, liked) {
  const path = form.action.replace(/\/(un)?like\/$/, liked ? "/like/" : "/unlike/");
  const key = newKey();
  try {
    const answer = /** @type {{liked: boolean, likes: number}} */ (await send(path, {}, { key, keepalive: true }));
    document.dispatchEvent(new CustomEvent("calotype:sent", { detail: { path, key } }));
    if (isLiked(form) === answer.liked) show(form, answer.liked, answer.likes);
    say(answer.liked ? gettext("Liked. {likes}", { likes: words(answer.likes) }) : gettext("You no longer like it."));
    return answer.liked;
  } catch (error) {
    if (!(error instanceof Refused && error.status === 0)) throw error;
    const detail = { path, fields: {}, key };
    if (document.dispatchEvent(new CustomEvent("calotype:unsent", { cancelable: true, detail }))) throw error;
    return liked;
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {boolean} liked
 * @param {number} n how many like the post
 */
function show(form, liked, n) {
  form.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", String(liked));
  form.action = form.action.replace(/\/(un)?like\/$/, liked ? "/unlike/" : "/like/");
  const line = count(form);
  if (!line) return;
  line.dataset["n"] = String(Math.max(0, n));
  void afterFrame().then(() => write(line)); // To format a number for the first time takes a phone longer than a frame.
}

/** @param {HTMLElement} line */
function write(line) {
  const n = Number(line.dataset["n"]);
  line.textContent = words(n);
  line.hidden = n < 1;
}

/** @param {HTMLFormElement} form */
function likes(form) {
  return Number(count(form)?.dataset["n"] ?? 0);
}

/** @param {HTMLFormElement} form @returns {HTMLElement | null | undefined} */
function count(form) {
  return form.closest("[data-post]")?.querySelector("[data-likes]");
}

/** As the filter `count` writes it: in full, then 12.3K. @param {number} n */
function words(n) {
  const short = n < 10_000 ? number(n) : new Intl.NumberFormat(document.documentElement.lang || "en", SHORT).format(n);
  return ngettext("{likes} like", "{likes} likes", n, { likes: short });
}

/** @type {Intl.NumberFormatOptions} */
const SHORT = { notation: "compact", maximumFractionDigits: 1, roundingMode: "trunc" };

/** @param {unknown} error */
function reason(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.code === "post_missing") return gettext("This post has just been deleted.");
  if (error.status === 0) return gettext("The site cannot be reached: your like was not saved.");
  return error.message || gettext("That did not work: your like was not saved.");
}

/**
 * A heart over the photo, for those who do not mind motion: look.css hides it from others.
 * @param {Element} photo
 * @param {HTMLFormElement} form whose heart it is
 */
function burst(photo, form) {
  const icon = form.querySelector(".icon")?.cloneNode(true);
  if (!(icon instanceof Element)) return;
  icon.classList.add("burst");
  photo.append(icon);
  setTimeout(() => icon.remove(), BURST_MS);
}
