/*
 * The sheet that says what the keys do, and where they can be switched off. Loaded when it is first wanted.
 */

// @ts-check

import { gettext } from "./words.js";

/** @type {HTMLDialogElement | undefined} */
let sheet;

/**
 * @param {boolean} on whether the keys do something
 * @param {(on: boolean) => void} turn
 */
export function open(on, turn) {
  sheet ??= made(on, turn);
  if (!sheet.open) sheet.showModal();
}

/** @returns {[string, string][]} */
function keys() {
  return [
    ["j", gettext("Next post")],
    ["k", gettext("Previous post")],
    ["l", gettext("Like the post, or take that back")],
    ["c", gettext("Write a comment")],
    ["f", gettext("Look at the photo over the whole window")],
    ["← →", gettext("Turn to another photo of the post")],
    ["/", gettext("Search")],
    ["?", gettext("This list")],
    ["Esc", gettext("Close, or leave the field")],
  ];
}

/** @param {boolean} on @param {(on: boolean) => void} turn */
function made(on, turn) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog keys";
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = gettext("Keyboard shortcuts");
  dialog.setAttribute("aria-labelledby", title.id);
  const close = document.createElement("button");
  close.className = "act close";
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", gettext("Close"));
  close.addEventListener("click", () => dialog.close());
  const [header, body] = [document.createElement("header"), document.createElement("div")];
  header.append(title, close);
  body.className = "body";
  body.append(table(), choice(on, turn));
  dialog.append(header, body);
  // A click beside the sheet is one on the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}

function table() {
  const list = document.createElement("dl");
  for (const [key, words] of keys()) {
    const [row, term, says, cap] = ["div", "dt", "dd", "kbd"].map((tag) => document.createElement(tag));
    if (!row || !term || !says || !cap) continue;
    cap.textContent = key;
    says.textContent = words;
    term.append(cap);
    row.append(term, says);
    list.append(row);
  }
  return list;
}

/** @param {boolean} on @param {(on: boolean) => void} turn */
function choice(on, turn) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  label.className = "choice";
  box.type = "checkbox";
  box.checked = on;
  box.addEventListener("change", () => turn(box.checked));
  label.append(box, gettext("Use these keys in this browser"));
  return label;
}
