/*
 * Passing on a post or a profile: the device's own sheet on a phone, else ours as a dialog. Without this module the link
 * leads to the same sheet as a page, and there the buttons to copy work as soon as it is loaded.
 */

// @ts-check

import { fragment, Refused } from "../web/request.js";
import { toast } from "../web/say.js";
import { gettext } from "../web/words.js";

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-share]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  void share(link);
});

/** @param {HTMLAnchorElement} link */
async function share(link) {
  const onPhone = "share" in navigator && matchMedia("(pointer: coarse)").matches;
  // At once, without asking the site for anything: the device opens its sheet only right after a touch.
  if (onPhone && (await passOn({ url: link.href.replace(/share\/$/, "") }))) return;
  try {
    const sheet = (await fragment(link.href)).querySelector("[data-sheet]");
    if (!(sheet instanceof HTMLElement)) throw new Refused(0, "failed", "");
    dialog(document.adoptNode(sheet));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    toast(error.message || gettext("This cannot be shared now. Try again in a moment."), { error: true });
  }
}

/**
 * The device's own sheet.
 * @param {ShareData} what
 * @returns {Promise<boolean>} whether it was there, also if nothing was chosen
 */
async function passOn(what) {
  try {
    await navigator.share(what);
    return true;
  } catch (error) {
    return error instanceof DOMException && error.name === "AbortError";
  }
}

/** @param {HTMLElement} sheet */
function dialog(sheet) {
  const box = document.createElement("dialog");
  box.className = "dialog";
  box.setAttribute("aria-labelledby", "share-title");
  box.append(...sheet.children);
  document.body.append(box);
  ready(box, sheet.dataset);
  box.querySelector("[data-close]")?.addEventListener("click", (event) => (event.preventDefault(), box.close()));
  box.addEventListener("click", (event) => event.target === box && box.close());
  box.addEventListener("close", () => box.remove()); // the browser gives the focus back
  box.showModal();
}

/**
 * @param {HTMLElement} sheet
 * @param {DOMStringMap} what its `title` and `url`
 */
function ready(sheet, what) {
  for (const button of sheet.querySelectorAll("[data-copy]")) {
    if (!(button instanceof HTMLButtonElement)) continue;
    button.hidden = false;
    button.addEventListener("click", () => void copy(sheet, button));
  }
  const on = sheet.querySelector("[data-share-on]");
  if (on instanceof HTMLButtonElement && "share" in navigator) {
    on.hidden = false;
    on.addEventListener("click", () => void passOn({ title: what["title"] ?? "", url: what["url"] ?? "" }));
  }
}

/**
 * @param {HTMLElement} sheet
 * @param {HTMLButtonElement} button
 */
async function copy(sheet, button) {
  const field = sheet.querySelector(`#${button.dataset["copy"]}`);
  const place = sheet.querySelector("[data-copied]");
  if (!(field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) || !place) return;
  const done = await written(field);
  place.textContent = "";
  // A sentence that is the same as before is heard again only if there was none in between.
  setTimeout(() => (place.textContent = done ? said(field) : gettext("It is selected: copy it with your keyboard.")), 50);
}

/** @param {HTMLElement} field */
function said(field) {
  return field instanceof HTMLInputElement ? gettext("The link is copied.") : gettext("The code is copied.");
}

/** @param {HTMLInputElement | HTMLTextAreaElement} field */
async function written(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return false; // no permission, or no HTTPS
  }
}

const page = document.querySelector("[data-sheet]");
if (page instanceof HTMLElement) ready(page, page.dataset);
