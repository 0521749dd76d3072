/*
 * The editor: a dialog over whichever page asks for it. What it gives back is a recipe and a rendition; the file is not changed.
 *
 * The page says where the worker lies, on any element: `data-editor="{% static "photos/editor/export.worker.js" %}"`.
 */

// @ts-check

import { gettext } from "../../web/words.js";
import { controls } from "./controls.js";
import { cropBox } from "./crop_box.js";
import { element, iconButton } from "./elements.js";
import { exportedBeside } from "./exporting.js";
import { history } from "./history.js";
import { colorSpaceOf, decoded, smaller } from "./photo.js";
import { isPlain, outputSize, PLAIN, read } from "./recipe.js";
import { stage } from "./stage.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/** The longest side of the picture that is edited on: more than a stage has. */
const PREVIEW = 1600;

/**
 * Let a person edit a photograph.
 * @param {Blob} file the original, in whatever format this browser can decode
 * @param {object | null} recipe to begin with; null for none
 * @returns {Promise<{recipe: Recipe, blob: Blob} | null>} null if they cancelled. With a recipe that changes nothing
 *   (`isPlain`) the blob is the file itself.
 */
export async function edit(file, recipe) {
  const before = document.activeElement;
  const view = dialog();
  document.body.append(view.root);
  view.root.showModal();
  try {
    return await session(view, file, read(recipe));
  } finally {
    view.root.close();
    view.root.remove();
    if (before instanceof HTMLElement) before.focus();
  }
}

/** The dialog before there is a photograph in it. */
function dialog() {
  const cancel = element("button", { type: "button", class: "button text" }, gettext("Cancel"));
  const save = element("button", { type: "button", class: "button primary", disabled: true }, gettext("Done"));
  const title = element("h2", { id: "editor-title" }, gettext("Edit photo"));
  const frame = element("div", { class: "editor-frame", dir: "ltr" });
  const room = element("div", { class: "editor-room" }, frame);
  const status = element("p", { class: "editor-status", role: "status" }, gettext("Opening the photo…"));
  const foot = element("div", { class: "editor-foot" });
  const root = element(
    "dialog",
    { class: "editor", "aria-labelledby": title.id },
    element("header", {}, cancel, title, save),
    element("div", { class: "editor-stage" }, room, status),
    foot,
  );
  return { root, cancel, save, frame, status, foot };
}

/**
 * @param {ReturnType<typeof dialog>} view
 * @param {Blob} file
 * @param {Recipe} first
 * @returns {Promise<{recipe: Recipe, blob: Blob} | null>}
 */
async function session(view, file, first) {
  const over = new AbortController();
  /** @type {Promise<null>} */
  const cancelled = new Promise((resolve) => {
    over.signal.addEventListener("abort", () => resolve(null));
  });
  let changed = () => false;
  const leave = () => (changed() ? ask(view, () => over.abort()) : over.abort());
  view.cancel.addEventListener("click", leave);
  view.root.addEventListener("cancel", (event) => (event.preventDefault(), leave()));
  view.root.addEventListener("close", () => over.abort()); // a second Esc closes it whatever we say

  const found = await Promise.race([opened(view, file), cancelled]);
  if (!found) return cancelled;
  const editing = begin(view, found, first);
  changed = editing.changed;
  view.save.disabled = false;
  try {
    return await Promise.race([saved(view, file, editing.get, over.signal), cancelled]);
  } finally {
    over.abort();
    editing.dispose();
    found.photo.close();
  }
}

/**
 * The photograph in a preview's size, and its own; null, and a sentence, where this browser cannot decode it.
 * @param {ReturnType<typeof dialog>} view
 * @param {Blob} file
 */
async function opened(view, file) {
  try {
    const whole = await decoded(file);
    const size = { width: whole.width, height: whole.height };
    return { size, photo: await smaller(whole, PREVIEW) };
  } catch {
    tell(view, gettext("This browser cannot open this photo, so it cannot be edited here."), true);
    return null;
  }
}

/**
 * @param {ReturnType<typeof dialog>} view
 * @param {{photo: ImageBitmap, size: import("./recipe.js").Size}} found
 * @param {Recipe} first
 */
function begin(view, { photo, size }, first) {
  const colorSpace = colorSpaceOf(photo);
  const canvas = stage(view.frame, photo, colorSpace);
  const past = history(first);
  let recipe = first;
  let cropping = true;
  let comparing = false;
  const state = {
    get: () => recipe,
    /** @param {Recipe} next */
    moved(next) {
      recipe = next;
      show();
    },
    rested() {
      past.rest(recipe);
      show();
    },
  };
  const box = cropBox(view.frame, photo, state);
  const tools = controls(photo, colorSpace, state, (open) => {
    cropping = open;
    show();
  });
  const undo = iconButton("undo-2", gettext("Undo"), () => state.moved(past.undo()));
  const reset = element("button", { type: "button", class: "button text" }, gettext("Reset"));
  reset.addEventListener("click", () => (state.moved({ ...PLAIN }), state.rested()));
  const compare = element("button", { type: "button", class: "button", "aria-pressed": "false" }, gettext("Original"));
  held(compare, (on) => {
    comparing = on;
    show();
  });
  view.foot.append(element("div", { class: "editor-do" }, undo, reset, compare), tools.element);
  view.root.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
    event.preventDefault();
    state.moved(past.undo());
  });

  function show() {
    const { turn, flip, straighten, crop, aspect } = recipe;
    const seen = comparing ? { ...PLAIN, turn, flip, straighten, crop, aspect } : recipe;
    canvas.show(cropping ? { ...seen, crop: PLAIN.crop, vignette: 0 } : seen);
    box.show(recipe, cropping);
    tools.show(recipe);
    undo.disabled = !past.canUndo();
    reset.disabled = isPlain(recipe);
    const { width, height } = outputSize(size, recipe);
    tell(view, comparing ? gettext("The original") : `${width} × ${height}`);
  }

  tools.open(0);
  return {
    get: state.get,
    changed: () => past.changed(recipe),
    dispose: () => canvas.dispose(),
  };
}

/**
 * Resolves when the rendition is made; a failure is said, and may be tried again.
 * @param {ReturnType<typeof dialog>} view
 * @param {Blob} file
 * @param {() => Recipe} get
 * @param {AbortSignal} signal
 * @returns {Promise<{recipe: Recipe, blob: Blob}>}
 */
function saved(view, file, get, signal) {
  const worker = document.querySelector("[data-editor]")?.getAttribute("data-editor") ?? "";
  let busy = false;
  const set = (/** @type {boolean} */ on) => {
    busy = view.foot.inert = view.frame.inert = on;
    view.save.setAttribute("aria-disabled", String(on)); // not `disabled`: it has the focus
  };
  return new Promise((resolve) => {
    view.save.addEventListener("click", async () => {
      if (busy) return;
      const recipe = get();
      if (isPlain(recipe)) return resolve({ recipe, blob: file });
      set(true);
      tell(view, gettext("Making the photo…"));
      try {
        resolve({ recipe, blob: await exportedBeside(worker, file, recipe, signal) });
      } catch {
        if (!signal.aborted) tell(view, gettext("The photo could not be made: this device may be short of memory. Close other tabs and programs, then try again."), true);
      } finally {
        set(false);
      }
    });
  });
}

/**
 * What is changed is lost only if they say so.
 * @param {ReturnType<typeof dialog>} view
 * @param {() => void} discard
 */
function ask(view, discard) {
  const keep = element("button", { class: "button big", value: "" }, gettext("Keep editing"));
  const drop = element("button", { class: "button danger big", value: "discard" }, gettext("Discard"));
  const words = element("p", { id: "editor-ask" }, gettext("Discard your changes to this photo?"));
  const form = element("form", { method: "dialog" }, words, element("div", { class: "wrap" }, keep, drop));
  const question = element("dialog", { class: "editor-ask", "aria-labelledby": words.id }, form);
  question.addEventListener("cancel", (event) => event.stopPropagation());
  question.addEventListener("close", (event) => {
    event.stopPropagation();
    question.remove();
    if (question.returnValue === "discard") discard();
  });
  view.root.append(question);
  question.showModal();
}

/**
 * @param {ReturnType<typeof dialog>} view
 * @param {string} text
 * @param {boolean} [error]
 */
function tell({ status }, text, error = false) {
  status.classList.toggle("error", error);
  if (status.textContent !== text) status.textContent = text;
}

/**
 * On while a pointer holds it; a key, or a reader of the screen, turns it on and off.
 * @param {HTMLButtonElement} button
 * @param {(on: boolean) => void} turn
 */
function held(button, turn) {
  const set = (/** @type {boolean} */ on) => {
    button.setAttribute("aria-pressed", String(on));
    turn(on);
  };
  button.addEventListener("pointerdown", (event) => (button.setPointerCapture(event.pointerId), set(true)));
  for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => set(false));
  button.addEventListener("click", (event) => {
    if (event.detail === 0) set(button.getAttribute("aria-pressed") !== "true");
  });
}
