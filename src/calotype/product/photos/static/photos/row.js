/*
 * A photo of a draft as a row: what it is, how far it is, and what can be done with it. The markup is a template of the page.
 */

// @ts-check

import { gettext, number } from "../web/words.js";
import { one } from "./drafts.js";
import { thumb } from "./thumbs.js";

/**
 * @typedef {import("./drafts.js").Item} Item
 * @typedef {import("./drafts.js").Transfer} Transfer
 * @typedef {{row: HTMLLIElement, item: Item, pictured: string}} Shown
 */

/** @param {HTMLTemplateElement} template @param {Item} item @returns {Shown} */
export function newRow(template, item) {
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const row = /** @type {HTMLLIElement} */ (copy.querySelector("li"));
  row.dataset["id"] = item.id;
  part(row, "name").textContent = item.name;
  const alt = altOf(row);
  alt.id = `alt-${item.id}`;
  alt.value = item.alt;
  row.querySelector("label")?.setAttribute("for", alt.id);
  return { row, item, pictured: "" };
}

/** @param {Element} row */
export function altOf(row) {
  return /** @type {HTMLTextAreaElement} */ (row.querySelector("[data-alt]"));
}

/** @param {Element} row @param {string} name @returns {HTMLElement} */
function part(row, name) {
  return /** @type {HTMLElement} */ (row.querySelector(`[data-${name}]`));
}

/**
 * What is stored of it now. What somebody has written here meanwhile stays.
 * @param {Shown} shown
 * @param {Item} item
 */
export function renewed(shown, item) {
  const alt = altOf(shown.row);
  if (alt.value === shown.item.alt && alt.value !== item.alt) alt.value = item.alt;
  shown.item = item;
}

/**
 * Its place among the others.
 * @param {Shown} shown
 * @param {number} at
 * @param {number} all
 * @param {number} perPost
 */
export function place({ row, item }, at, all, perPost) {
  const n = at + 1;
  const names = {
    grip: gettext("Move photo {n} of {all}, {name}", { n, all, name: item.name }),
    up: gettext("Move photo {n} up", { n }),
    down: gettext("Move photo {n} down", { n }),
    edit: gettext("Edit photo {n}", { n }),
    again: gettext("Try again, photo {n}", { n }),
    remove: gettext("Remove photo {n}, {name}", { n, name: item.name }),
  };
  for (const [name, text] of Object.entries(names)) part(row, name).setAttribute("aria-label", text);
  part(row, "up").toggleAttribute("disabled", at === 0);
  part(row, "down").toggleAttribute("disabled", n === all);
  if (at && at % perPost === 0) row.dataset["divider"] = gettext("Post {n}", { n: at / perPost + 1 });
  else delete row.dataset["divider"];
}

/**
 * How far it is.
 * @param {Shown} shown
 * @param {Transfer[]} transfers of its files
 * @param {Map<string, number>} sent bytes that have left, by transfer
 * @param {boolean} waiting for the network
 */
export function progress({ row }, transfers, sent, waiting) {
  const size = transfers.reduce((sum, each) => sum + each.size, 0);
  const gone = transfers.reduce((sum, each) => sum + bytesGone(each, sent), 0);
  const refused = transfers.find((each) => each.state === "refused");
  const arrived = transfers.every((each) => each.state === "arrived");
  row.classList.toggle("refused", Boolean(refused));
  row.classList.toggle("arrived", arrived);
  part(row, "again").hidden = !refused;
  const bar = /** @type {HTMLProgressElement} */ (part(row, "progress"));
  bar.value = size ? gone / size : 0;
  bar.hidden = Boolean(refused);
  const text = refused ? refused.sentence : arrived ? gettext("Uploaded") : sentence(gone, size, waiting);
  const status = part(row, "status");
  if (status.textContent !== text) status.textContent = text;
}

/** @param {Transfer} transfer @param {Map<string, number>} sent */
function bytesGone(transfer, sent) {
  return transfer.state === "waiting" ? Math.max(sent.get(transfer.id) ?? 0, transfer.offset) : transfer.size;
}

/** @param {number} gone @param {number} size @param {boolean} waiting */
function sentence(gone, size, waiting) {
  const values = { percent: number(Math.floor((100 * gone) / Math.max(size, 1))), size: megabytes(size) };
  if (waiting) return gettext("Waiting for the network, {percent}% of {size} MB", values);
  if (gone >= size) return gettext("Checking");
  return gone ? gettext("{percent}% of {size} MB", values) : gettext("Waiting, {size} MB", values);
}

/** @param {number} bytes */
function megabytes(bytes) {
  return number(Math.max(0.1, Math.round(bytes / 1e5) / 10));
}

/**
 * Its picture: of the file itself, or, where this browser cannot decode it, of the site as soon as that has it.
 * @param {Shown} shown
 * @param {Transfer[]} transfers
 */
export async function picture(shown, transfers) {
  const transfer = transfers.find((each) => each.id.endsWith("/edited")) ?? transfers[0];
  if (!transfer) return;
  const source = transfer.key;
  if (shown.pictured === source || shown.pictured === `${source}?`) return fallback(shown, transfer, source);
  shown.pictured = source;
  const file = await one("files", transfer.id);
  const made = file ? await thumb(file.blob) : null;
  if (made) part(shown.row, "thumb").replaceChildren(made);
  else shown.pictured = `${source}?`;
  if (!made) fallback(shown, transfer, source);
}

/** @param {Shown} shown @param {Transfer} transfer @param {string} source */
function fallback(shown, transfer, source) {
  if (shown.pictured !== `${source}?` || transfer.state !== "arrived") return;
  shown.pictured = source;
  const image = new Image();
  image.src = `/uploads/${transfer.upload}/preview.jpeg`;
  image.alt = "";
  part(shown.row, "thumb").replaceChildren(image);
}
