/*
 * "Edit photo" beside each photograph of a post that one changes: its original and its recipe go to the editor, and what comes
 * back is shown in its place. The words on the page stay as they are typed.
 */

// @ts-check

import { ask, Refused, token } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext } from "../web/words.js";

/** @typedef {{photo: string, src: string, srcset: string, full: string, width: number, height: number, recipe: string}} Revised */

for (const button of document.querySelectorAll("[data-edit-photo]")) {
  if (!(button instanceof HTMLButtonElement)) continue;
  button.hidden = false;
  button.addEventListener("click", () => revise(button));
}

/** @param {HTMLButtonElement} button */
async function revise(button) {
  const item = /** @type {HTMLElement} */ (button.closest("[data-photo]"));
  const form = /** @type {HTMLElement} */ (button.closest("[data-revise]"));
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    const [{ edit }, original] = await Promise.all([import("./editor/editor.js"), download(item.dataset["original"] ?? "")]);
    const before = item.dataset["recipe"] ?? "";
    const made = await edit(original, before ? JSON.parse(before) : null);
    if (made) await save(item, form, made);
  } catch (error) {
    toast((error instanceof Refused && error.message) || gettext("The editor could not be opened. Try again."), { error: true });
  } finally {
    button.ariaBusy = null;
  }
}

/**
 * What was made is kept until it is stored, or until they give up.
 * @param {HTMLElement} item
 * @param {HTMLElement} form
 * @param {{recipe: object, blob: Blob}} made
 * @returns {Promise<void>}
 */
async function save(item, form, made) {
  say(gettext("Saving the photo…"));
  try {
    show(item, await upload(form, item.dataset["photo"] ?? "", made));
    toast(gettext("The edited photo is saved."));
  } catch (error) {
    const again = { label: gettext("Try again"), run: () => void save(item, form, made) };
    toast((error instanceof Refused && error.message) || gettext("The edit could not be saved."), { error: true, action: again });
  }
}

/** @param {string} address @returns {Promise<Blob>} @throws {Refused} */
async function download(address) {
  const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status, "failed", gettext("The original could not be loaded. Try again."));
  return answer.blob();
}

/**
 * @param {HTMLElement} form
 * @param {string} photo
 * @param {{recipe: object, blob: Blob}} made
 * @returns {Promise<Revised>}
 */
async function upload(form, photo, { recipe, blob }) {
  const body = new FormData();
  body.set("post", form.dataset["post"] ?? "");
  body.set("photo", photo);
  body.set("recipe", JSON.stringify(recipe));
  body.set("edited", blob, "edited.jpg");
  const options = { method: "POST", body, headers: { "X-CSRFToken": token() } };
  return /** @type {Revised} */ (await ask(form.dataset["revise"] ?? "", options));
}

/** @param {HTMLElement} item @param {Revised} revised */
function show(item, revised) {
  const original = item.dataset["original"] ?? "";
  item.dataset["original"] = original.replace(`/photos/${item.dataset["photo"]}/`, `/photos/${revised.photo}/`);
  item.dataset["photo"] = revised.photo;
  item.dataset["recipe"] = revised.recipe;
  const [link, picture] = [item.querySelector("a.thumb"), item.querySelector("img")];
  link?.setAttribute("href", revised.full);
  if (picture) Object.assign(picture, { srcset: revised.srcset, src: revised.src, width: revised.width, height: revised.height });
}
