/*
 * Who somebody is, and what a photograph in a grid has, without going there: a card beside a name, a picture or a cell that
 * is pointed at or has the keyboard's focus.
 *
 * WCAG 1.4.13: Esc closes it where it is, one can point at the card itself, and it stays until one leaves. Tab goes from the
 * name into the card and on from there. Each is asked for once; touch screens, which have nothing to point with, get none.
 */

// @ts-check

import { fragment } from "../web/request.js";

const OPEN_MS = 400;
const CLOSE_MS = 200;
const FRESH_MS = 60_000;
const KEPT = 60;
const GAP = 8;

/** @type {Map<string, {at: number, content: Promise<DocumentFragment>}>} */
const known = new Map();

/** @type {HTMLAnchorElement | null} */
let link = null;
/** @type {HTMLElement | null} */
let card = null;
let timer = 0;

/**
 * The card's address, if this is a link that has one.
 * @param {HTMLAnchorElement} anchor
 */
function cardOf(anchor) {
  if (anchor.origin !== location.origin || anchor.closest(".hover-card, .tabs, .who, .menu")) return null;
  const person = /^\/@[^/]+\/$/.test(anchor.pathname);
  const cell = /^\/p\/\d+\/$/.test(anchor.pathname) && anchor.closest(".grid");
  return (person && anchor.pathname !== location.pathname) || cell ? `${anchor.pathname}card/` : null;
}

/** @param {EventTarget | null} target */
function linkAt(target) {
  const anchor = target instanceof Element ? target.closest("a") : null;
  return anchor && cardOf(anchor) ? anchor : null;
}

/** @param {HTMLAnchorElement} anchor */
function open(anchor) {
  clearTimeout(timer);
  if (anchor === link) return;
  timer = setTimeout(() => void show(anchor), OPEN_MS);
}

function leave() {
  clearTimeout(timer);
  timer = setTimeout(close, CLOSE_MS);
}

function close() {
  clearTimeout(timer);
  link?.removeAttribute("aria-describedby");
  card?.remove();
  link = card = null;
}

/** @param {HTMLAnchorElement} anchor */
async function show(anchor) {
  const address = cardOf(anchor);
  if (!address) return;
  const content = await ask(address);
  const still = anchor.isConnected && (anchor.matches(":hover") || anchor === document.activeElement);
  if (!content || !still) return;
  close();
  link = anchor;
  card = document.createElement("div");
  card.className = "hover-card";
  card.id = "hover-card";
  card.append(content.cloneNode(true));
  card.setAttribute("role", card.querySelector("form") ? "dialog" : "tooltip");
  card.setAttribute("aria-label", card.querySelector(".name")?.textContent ?? "");
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", leave);
  card.addEventListener("focusout", left);
  (document.querySelector("main") ?? document.body).append(card);
  if ("popover" in card) {
    card.popover = "manual";
    card.showPopover();
  }
  put(card, anchor.getBoundingClientRect(), Boolean(anchor.closest(".grid")));
  anchor.setAttribute("aria-describedby", card.id);
}

/** @param {string} address */
async function ask(address) {
  let found = known.get(address);
  if (!found || Date.now() - found.at > FRESH_MS) {
    found = { at: Date.now(), content: fragment(address) };
    known.delete(address);
    known.set(address, found);
    const oldest = known.keys().next().value;
    if (known.size > KEPT && oldest) known.delete(oldest);
  }
  try {
    return await found.content;
  } catch {
    known.delete(address); // It is no more than a help: whoever wants to know follows the link.
    return null;
  }
}

/**
 * Below what it is about, above where there is no room, and within the window; at the foot of a cell, which is clicked through it.
 * @param {HTMLElement} box
 * @param {DOMRect} about
 * @param {boolean} cell
 */
function put(box, about, cell) {
  const { width, height } = box.getBoundingClientRect();
  const below = about.bottom + GAP + height <= innerHeight || about.top < height + GAP;
  const beside = below && !cell ? about.bottom + GAP : (cell ? about.bottom : about.top) - GAP - height;
  const inside = Math.min(beside, innerHeight - height - GAP);
  const rtl = getComputedStyle(box).direction === "rtl";
  const inset = cell ? GAP : 0;
  const start = rtl ? about.right - width - inset : about.left + inset;
  box.style.top = `${Math.max(GAP, inside)}px`;
  box.style.left = `${Math.max(GAP, Math.min(start, document.documentElement.clientWidth - width - GAP))}px`;
}

/** @returns {HTMLElement[]} what in the card can be reached by Tab */
function reachable() {
  return card ? [.../** @type {NodeListOf<HTMLElement>} */ (card.querySelectorAll('button, a:not([tabindex="-1"])'))] : [];
}

/** @param {FocusEvent} event */
function left(event) {
  const to = event.relatedTarget;
  if (!(to instanceof Node && (card?.contains(to) || to === link))) leave();
}

document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch") return;
  const anchor = linkAt(event.target);
  if (anchor) open(anchor);
});
document.addEventListener("pointerout", (event) => {
  if (linkAt(event.target) && !card?.contains(/** @type {Node | null} */ (event.relatedTarget))) leave();
});
document.addEventListener("focusin", (event) => {
  const anchor = linkAt(event.target);
  if (anchor?.matches(":focus-visible")) open(anchor);
});
document.addEventListener("focusout", (event) => {
  if (linkAt(event.target)) left(event);
});
document.addEventListener("pointerdown", (event) => {
  if (card && !card.contains(/** @type {Node} */ (event.target))) close();
});
addEventListener("scroll", () => card?.contains(document.activeElement) || close(), { passive: true });
addEventListener("pagehide", close);
document.addEventListener("calotype:followed", (event) => {
  if (event instanceof CustomEvent) known.delete(`/@${encodeURIComponent(event.detail.username)}/card/`);
});

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key === "Escape") clearTimeout(timer);
    if (!card || !link) return;
    const stops = reachable();
    const inside = card.contains(document.activeElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      if (inside) link.focus();
      close();
    } else if (event.key === "Tab" && !inside && document.activeElement === link && !event.shiftKey && stops[0]) {
      event.preventDefault();
      stops[0].focus();
    } else if (event.key === "Tab" && inside) {
      const end = event.shiftKey ? stops[0] : stops.at(-1);
      if (document.activeElement !== end) return;
      // The card lies at the end of the page; one goes on from what it is about.
      link.focus();
      if (event.shiftKey) event.preventDefault();
      else close();
    }
  },
  true,
);
