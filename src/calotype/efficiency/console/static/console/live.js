/*
 * Keeps a page's figures fresh: asks for its parts every few seconds and puts in those that differ.
 *
 * What the reader is in (focus, a selection) stays as it is, tables that were opened stay open, and nothing is asked while
 * the page is hidden or paused. What is said aloud is said once a minute, not at every change.
 */

// @ts-check

const EVERY_MS = 5_000;
const SAY_EVERY_MS = 60_000;

const root = document.querySelector("[data-live]");
const said = document.querySelector("[data-live-said]");
const button = document.querySelector("[data-live-pause]");
let saidAt = Date.now();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

/** @param {Element} part */
function isInUse(part) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && selection.anchorNode && part.contains(selection.anchorNode)) return true;
  return part.contains(document.activeElement) && document.activeElement !== document.body;
}

/** Tables that are open, and how far they are scrolled, go from the old part to the new one. @param {Element} old @param {Element} fresh */
function keep(old, fresh) {
  for (const details of old.querySelectorAll("details[data-keep][open]")) {
    const name = details.getAttribute("data-keep");
    fresh.querySelector(`details[data-keep="${name}"]`)?.setAttribute("open", "");
  }
}

/** @param {Element} place @param {Element} fresh */
function update(place, fresh) {
  const before = new Map([...place.children].map((part) => [part.getAttribute("data-part"), part]));
  const parts = [...fresh.children];
  for (const part of parts) {
    const old = before.get(part.getAttribute("data-part"));
    before.delete(part.getAttribute("data-part"));
    if (!old) continue;
    const scrolled = [...old.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    keep(old, part);
    if (old.isEqualNode(part) || isInUse(old)) continue;
    old.replaceWith(part);
    [...part.querySelectorAll(".scroll")].forEach((each, n) => (each.scrollLeft = scrolled[n] ?? 0));
  }
  for (const gone of before.values()) gone.remove();
  // What was not there before comes where it belongs.
  parts.forEach((part, n) => {
    if (place.contains(part) || place.querySelector(`:scope > [data-part="${part.getAttribute("data-part")}"]`)) return;
    place.insertBefore(part, place.children[n] ?? null);
  });
}

function say() {
  if (!root || !said || Date.now() - saidAt < SAY_EVERY_MS) return;
  saidAt = Date.now();
  said.textContent = root.querySelector("[data-say]")?.textContent ?? "";
}

/** @param {boolean} failed */
function tell(failed) {
  if (!button || !said || button.hasAttribute("data-live-failed") === failed) return;
  button.toggleAttribute("data-live-failed", failed);
  said.textContent = failed ? "The figures are no longer fresh: the site does not answer." : "The figures are fresh again.";
}

async function ask() {
  if (!(root instanceof HTMLElement)) return;
  try {
    const answer = await fetch(root.dataset.live ?? "", { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html");
    if (fresh.body.firstElementChild) update(root, fresh.body.firstElementChild);
    root.dataset.refreshed = String(Number(root.dataset.refreshed ?? 0) + 1);
    tell(false);
    say();
  } catch {
    tell(true); // It is asked again.
  }
}

const isPaused = () => document.hidden || button?.getAttribute("aria-pressed") === "true";

async function turn() {
  clearTimeout(waiting);
  if (isPaused()) return;
  await ask();
  clearTimeout(waiting);
  waiting = setTimeout(turn, EVERY_MS);
}

if (root && button instanceof HTMLElement) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const paused = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!paused));
    void turn();
  });
  document.addEventListener("visibilitychange", () => void turn());
  waiting = setTimeout(turn, EVERY_MS);
}
