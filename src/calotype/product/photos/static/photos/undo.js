/*
 * Removed photos can be had back: by a note that stays until the next thing is done, or by the keys that undo.
 */

// @ts-check

import { toast } from "../web/say.js";
import { gettext } from "../web/words.js";

/** @typedef {import("./items.js").Removed} Removed */

const MOST = 60;

/** The last one last. @type {Removed[]} */
const removed = [];
/** @type {HTMLElement | undefined} */
let note;

/**
 * Ctrl+Z or ⌘Z, but in a field, whose own words it undoes, or in a dialog.
 * @param {(removed: Removed) => Promise<void>} restore
 */
export function undoByKey(restore) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    if (event.target instanceof HTMLTextAreaElement || document.querySelector("dialog[open]") || !removed.length) return;
    event.preventDefault();
    void undo(restore);
  });
}

/** @param {Removed} photo @param {(removed: Removed) => Promise<void>} restore */
export function offerUndo(photo, restore) {
  removed.push(photo);
  if (removed.length > MOST) removed.shift();
  note?.remove();
  const action = { label: gettext("Undo"), run: () => void undo(restore) };
  note = toast(gettext("{name} is removed.", { name: photo.item.name }), { stays: true, action });
}

/** What was removed is gone for good. */
export function forgetRemoved() {
  removed.length = 0;
  note?.remove();
}

/** @param {(removed: Removed) => Promise<void>} restore */
async function undo(restore) {
  note?.remove();
  const photo = removed.pop();
  if (photo) await restore(photo);
}
