/*
 * What happened, for those who hear pages and for those who see them.
 *
 * base.html has two places: `[data-say]`, a live region that nobody sees, and `[data-toasts]`. Forms for comments are `[data-say]` too.
 */

// @ts-check

import { gettext } from "./words.js";

const TOAST_MS = 6_000;
/** With something to press, which takes some people longer. */
const ACTION_MS = 20_000;

/** @param {string} text heard when the reader is at leisure */
export function say(text) {
  const region = reached("[data-say][aria-live]");
  if (!region) return;
  // The same sentence twice is said twice only if it changes in between.
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50);
}

/**
 * Seen and heard. An error stays until it is dismissed, and so does what `stays`; the others as long as somebody is at them.
 * @param {string} text
 * @param {{error?: boolean, stays?: boolean, action?: {label: string, run: () => void}}} [options]
 * @returns {HTMLElement | undefined} to take it away, or to see whether it is still there
 */
export function toast(text, { error = false, stays = error, action } = {}) {
  const place = reached("[data-toasts]");
  if (!place) return void say(text);
  const item = document.createElement("div");
  item.className = error ? "toast error" : "toast";
  item.setAttribute("role", error ? "alert" : "status");
  const words = document.createElement("p");
  words.textContent = text;
  item.append(words);
  if (action) item.append(button(action.label, () => (item.remove(), action.run())));
  if (stays) {
    const dismiss = button("×", () => item.remove());
    dismiss.setAttribute("aria-label", gettext("Dismiss"));
    item.append(dismiss);
  }
  place.append(item);
  if (!stays) leave(item, action ? ACTION_MS : TOAST_MS);
  return item;
}

/** Goes after a while, but not under a pointer or with the focus in it. @param {HTMLElement} item @param {number} ms */
function leave(item, ms) {
  const later = () => (item.matches(":hover, :focus-within") ? leave(item, TOAST_MS) : item.remove());
  setTimeout(later, ms);
}

/**
 * One of the two places. While a dialog is open all beside it is inert, neither heard nor touched: then it is one within the
 * dialog, and what still stands there when that closes goes on in the page.
 * @param {string} selector
 */
function reached(selector) {
  const place = document.querySelector(`body > ${selector}`);
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  if (!place || !dialog) return place;
  const there = dialog.querySelector(`:scope > ${selector}`);
  if (there) return there;
  const inside = /** @type {Element} */ (place.cloneNode());
  dialog.append(inside);
  dialog.addEventListener("close", () => (place.append(...inside.children), inside.remove()), { once: true });
  return inside;
}

/**
 * @param {string} label
 * @param {() => void} run
 */
function button(label, run) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button text";
  made.textContent = label;
  made.addEventListener("click", run);
  return made;
}
