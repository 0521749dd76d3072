/*
 * The photographs of a post, one beside another: arrows, dots and keys turn them in both directions of writing, and each
 * turn is heard. `calotype:look` on a photo, or its link, opens it over the whole window.
 */

// @ts-check

import { say } from "../web/say.js";
import { gettext } from "../web/words.js";

const SETTLED_MS = 140;

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const settling = new WeakMap();

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.dataset["full"] !== undefined) {
    event.preventDefault();
    void look(link.closest(".photo"));
  } else if (link.matches(".turn, .dots a")) {
    const photo = document.getElementById(link.hash.slice(1));
    if (!photo) return;
    event.preventDefault();
    turnTo(photo);
  }
});

document.addEventListener("calotype:look", (event) => {
  if (event.target instanceof Element) void look(event.target);
});

document.addEventListener("keydown", (event) => {
  const slides = event.target;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !(slides instanceof HTMLElement) || !slides.matches(".slides") || event.altKey) return;
  event.preventDefault();
  const photo = slides.children[at(slides) + step * direction(slides)];
  if (photo) turnTo(photo);
});

// Scrolling does not bubble, but is captured. It has ended when nothing more comes: not every browser says so.
document.addEventListener(
  "scroll",
  (event) => {
    const slides = event.target;
    if (!(slides instanceof HTMLElement) || !slides.matches(".slides")) return;
    clearTimeout(settling.get(slides));
    settling.set(slides, setTimeout(() => settled(slides), SETTLED_MS));
  },
  { capture: true, passive: true },
);

/** Which photo of a row is shown; the first when there is no row. @param {HTMLElement} slides */
export function at(slides) {
  return Math.round(Math.abs(slides.scrollLeft) / (slides.clientWidth || 1));
}

/** @param {Element} photo in a row */
function turnTo(photo) {
  const slides = photo.parentElement;
  if (!slides) return;
  const index = [...slides.children].indexOf(photo);
  slides.scrollTo({ left: index * slides.clientWidth * direction(slides) });
}

/** -1 where one reads from the right. @param {Element} element */
function direction(element) {
  return getComputedStyle(element).direction === "rtl" ? -1 : 1;
}

/** @param {HTMLElement} slides that have come to rest */
function settled(slides) {
  const now = at(slides);
  const photo = slides.children[now];
  const dots = slides.closest("[data-post]")?.querySelectorAll(".dots a") ?? [];
  if (!photo || slides.dataset["at"] === String(now)) return;
  slides.dataset["at"] = String(now);
  dots.forEach((dot, index) => {
    if (index === now) dot.setAttribute("aria-current", "true");
    else dot.removeAttribute("aria-current");
  });
  const alt = photo.querySelector("picture img")?.getAttribute("alt") ?? "";
  say(gettext("{n} of {total}: {words}", { n: now + 1, total: slides.children.length, words: alt }));
}

/** @param {Element | null} photo */
async function look(photo) {
  if (!photo) return;
  const { open } = await import("./viewer.js");
  open(photo);
}
