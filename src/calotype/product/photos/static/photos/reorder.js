/*
 * A list whose rows can be put into another order: dragged by mouse or finger, by the arrow keys, or by buttons.
 */

// @ts-check

import { say } from "../web/say.js";
import { gettext } from "../web/words.js";

/**
 * Rows have `[data-grip]`, `[data-up]` and `[data-down]`.
 * @param {HTMLElement} list
 * @param {() => void} changed called when the order is another one
 */
export function reorderable(list, changed) {
  list.addEventListener("click", (event) => {
    const button = closest(event.target, "[data-up], [data-down]");
    if (button) step(list, button, button.matches("[data-up]") ? -1 : 1, changed);
  });
  list.addEventListener("keydown", (event) => {
    const grip = closest(event.target, "[data-grip]");
    const by = { ArrowUp: -1, ArrowDown: 1, Home: -list.children.length, End: list.children.length }[event.key];
    if (!grip || !by) return;
    event.preventDefault();
    step(list, grip, by, changed);
  });
  list.addEventListener("pointerdown", (event) => {
    const grip = closest(event.target, "[data-grip]");
    if (grip && event.button === 0) drag(list, grip, event, changed);
  });
}

/** @param {EventTarget | null} target @param {string} selector @returns {HTMLElement | null} */
function closest(target, selector) {
  return target instanceof Element ? target.closest(selector) : null;
}

/** @param {HTMLElement} list @param {HTMLElement} control in the row that moves @param {number} by @param {() => void} changed */
function step(list, control, by, changed) {
  const rows = Array.from(list.children);
  const row = control.closest("li");
  if (!row) return;
  const from = rows.indexOf(row);
  const to = Math.min(Math.max(from + by, 0), rows.length - 1);
  if (to === from) return;
  if (to < from) rows[to]?.before(row);
  else rows[to]?.after(row);
  changed();
  if (control.hasAttribute("disabled")) closest(row.firstElementChild, "[data-grip]")?.focus();
  else control.focus();
  row.scrollIntoView({ block: "nearest" });
  announce(list, row);
}

/** @param {HTMLElement} list @param {Element} row */
function announce(list, row) {
  const at = Array.from(list.children).indexOf(row) + 1;
  say(gettext("Photo {at} of {all}", { at, all: list.children.length }));
}

/** @param {HTMLElement} list @param {HTMLElement} grip @param {PointerEvent} down @param {() => void} changed */
function drag(list, grip, down, changed) {
  const row = grip.closest("li");
  if (!row) return;
  const before = Array.from(list.children);
  const end = new AbortController();
  grip.setPointerCapture(down.pointerId);
  row.classList.add("moving");
  const move = (/** @type {PointerEvent} */ event) => {
    const other = Array.from(list.children).find((each) => each !== row && spans(each, event.clientY));
    if (!other) return;
    const box = other.getBoundingClientRect();
    const upper = event.clientY < box.top + box.height / 2;
    // Only past the middle of another row, so that rows of different heights do not change places for ever.
    // The others move: a row that is taken out of the page loses its pointer.
    while (upper && follows(row, other) && row.previousElementSibling) row.after(row.previousElementSibling);
    while (!upper && follows(other, row) && row.nextElementSibling) row.before(row.nextElementSibling);
  };
  const drop = () => {
    end.abort();
    row.classList.remove("moving");
    if (before.every((each, at) => each === list.children[at])) return;
    changed();
    announce(list, row);
  };
  grip.addEventListener("pointermove", move, { signal: end.signal });
  grip.addEventListener("pointerup", drop, { signal: end.signal });
  grip.addEventListener("pointercancel", drop, { signal: end.signal });
}

/** @param {Element} element @param {number} y */
function spans(element, y) {
  const box = element.getBoundingClientRect();
  return y >= box.top && y <= box.bottom;
}

/** Whether the first stands behind the second. @param {Element} first @param {Element} second */
function follows(first, second) {
  return Boolean(second.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING);
}
