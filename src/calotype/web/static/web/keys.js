/*
 * Single keys: from post to post, like, comment, look, find, help. Not while something is typed, not with Ctrl, Alt or Meta, and
 * not at all for those who have switched them off on the sheet that `?` and the foot of the page open.
 */

// @ts-check

const OFF = "calotype-keys";

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (event.key === "Escape") return leave(event);
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || isOff()) return;
  if (document.querySelector("dialog[open]")) return;
  const does = KEYS[event.key];
  if (does?.()) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-keys]")) {
  if (!(button instanceof HTMLElement)) continue;
  button.hidden = false;
  button.addEventListener("click", help);
}

/** What each does; true when there was something to do. @type {Record<string, (() => boolean) | undefined>} */
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  l: () => press("[data-like] button"),
  c: () => focus(current()?.querySelector("[data-say] [name=text]")),
  f: () => look(),
  "/": () => find(),
  "?": () => (help(), true),
};

function isOff() {
  try {
    return localStorage.getItem(OFF) === "off";
  } catch {
    return false;
  }
}

/** @param {boolean} on */
function turn(on) {
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "off");
}

/** @param {Event} event */
function isTyping(event) {
  return event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]") !== null;
}

/** The post that is focused, or else the one that is in the middle of the window. @returns {Element | undefined} */
function current() {
  const focused = document.activeElement?.closest("[data-post]");
  if (focused) return focused;
  const middle = innerHeight / 2;
  return posts().find((post) => post.getBoundingClientRect().bottom > middle);
}

function posts() {
  return [...document.querySelectorAll("[data-post]")];
}

/** @param {number} by */
function step(by) {
  const all = posts();
  const focused = document.activeElement?.closest("[data-post]");
  const at = focused ? all.indexOf(focused) + by : all.indexOf(/** @type {Element} */ (current()));
  const post = all[at];
  if (!(post instanceof HTMLElement)) return false;
  post.focus({ preventScroll: true });
  post.scrollIntoView({ block: "start" });
  return true;
}

/** @param {string} selector of a button of the current post */
function press(selector) {
  const button = current()?.querySelector(selector);
  if (!(button instanceof HTMLElement)) return false;
  button.click();
  return true;
}

/** @param {Element | null | undefined} element */
function focus(element) {
  if (!(element instanceof HTMLElement)) return false;
  element.focus();
  return true;
}

/** The photo that is turned to. */
function look() {
  const photos = [...(current()?.querySelectorAll(".photo") ?? [])];
  const middle = (/** @type {Element} */ each) => {
    const { left, right } = each.getBoundingClientRect();
    return (left + right) / 2;
  };
  const frame = photos[0]?.parentElement?.getBoundingClientRect();
  const shown = photos.find((each) => frame && middle(each) > frame.left && middle(each) < frame.right);
  return shown ? (shown.dispatchEvent(new CustomEvent("calotype:look", { bubbles: true })), true) : false;
}

/** To the field for searching, or to the page that has one. */
function find() {
  const field = document.querySelector("main input[type=search]");
  if (field) return focus(field);
  const link = document.querySelector("[data-find]");
  if (link instanceof HTMLAnchorElement) link.click();
  return link !== null;
}

/** Esc: closes a menu, else leaves a field for its post. Dialogs close by themselves. @param {KeyboardEvent} event */
function leave(event) {
  const at = event.target instanceof HTMLElement ? event.target : null;
  const menu = at?.closest("details[open]");
  if (menu instanceof HTMLDetailsElement) {
    menu.open = false;
    focus(menu.querySelector("summary"));
  } else if (at && at.closest("[data-say]")) focus(at.closest("[data-post]"));
}

async function help() {
  const { open } = await import("./keys_help.js");
  open(!isOff(), turn);
}

export {};
