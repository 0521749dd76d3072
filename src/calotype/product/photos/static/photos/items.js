/*
 * What can be done with the photos of a draft: each leaves the draft as it is to be, and tells the queue of every tab.
 */

// @ts-check

import { ask, newKey, token } from "../web/request.js";
import { gettext } from "../web/words.js";
import { toast } from "../web/say.js";
import * as store from "./drafts.js";
import { tell } from "./queue.js";

/**
 * @typedef {import("./drafts.js").Draft} Draft
 * @typedef {import("./drafts.js").Item} Item
 * @typedef {import("./drafts.js").Transfer} Transfer
 */

/** @param {Draft} draft @param {File} file @param {number} place */
export async function add(draft, file, place) {
  const item = { id: newKey(), draft: draft.id, place, name: file.name, type: file.type };
  await keep(draft, { ...item, alt: "", edited: false, recipe: "" }, "photo", file);
}

/** @param {Draft} draft @param {Item} item @param {import("./drafts.js").Part} part @param {Blob} blob */
async function keep(draft, item, part, blob) {
  const transfer = store.newTransfer(item, part, blob);
  const file = { id: transfer.id, draft: item.draft, blob };
  if (!(await store.put({ items: [item], transfers: [transfer], files: [file] }))) await store.keepHere(draft);
}

/** @typedef {{item: Item, at: number, transfers: Transfer[], files: import("./drafts.js").Kept[]}} Removed */

/** @param {Item} item @param {number} at its place among the others @returns {Promise<Removed>} all of it, to be had back */
export async function remove(item, at) {
  tell({ type: "stop", draft: item.draft, item: item.id });
  const transfers = await transfersOf(item);
  const files = await Promise.all(transfers.map(({ id }) => store.one("files", id)));
  await forget(transfers);
  await store.remove({ items: [item.id] });
  tell({ type: "changed" });
  return { item, at, transfers, files: files.filter((file) => file !== undefined) };
}

/** To where it was. Its files are sent anew: the site has been told to forget them. @param {Draft} draft @param {Removed} removed */
export async function restore(draft, { item, at, transfers, files }) {
  const others = (await store.all("items", draft.id)).sort((a, b) => a.place - b.place);
  await Promise.all(others.map(({ id }, n) => store.change("items", id, { place: n < at ? n : n + 1 })));
  const records = { items: [{ ...item, place: Math.min(at, others.length) }], transfers: transfers.map(fresh), files };
  if (!(await store.put(records))) await store.keepHere(draft);
  tell({ type: "changed" });
}

/** As if nothing of it had been sent. @param {Transfer} transfer @returns {Transfer} */
function fresh(transfer) {
  return { ...transfer, key: newKey(), upload: "", offset: 0, state: "waiting", sentence: "" };
}

/** Send what was refused once more. @param {Item} item */
export async function again(item) {
  const refused = (await transfersOf(item)).filter((each) => each.state === "refused");
  cancel(refused);
  await store.put({ transfers: refused.map(fresh) });
  tell({ type: "changed" });
}

/** @param {Draft} draft with all its photos */
export async function discard(draft) {
  tell({ type: "stop", draft: draft.id, item: "" });
  cancel(await store.all("transfers", draft.id));
  await store.removeDraft(draft.id);
}

/**
 * Have it edited; a rendition is uploaded beside the file, which stays what it is.
 * @param {Draft} draft
 * @param {Item} item
 */
export async function edit(draft, item) {
  const file = await store.one("files", `${item.id}/photo`);
  if (!file) return toast(gettext("This file cannot be read any longer. Choose it again."), { error: true });
  const editor = await import("./editor/editor.js");
  const made = await editor.edit(file.blob, item.recipe ? JSON.parse(item.recipe) : null);
  if (!made) return;
  tell({ type: "stop", draft: draft.id, item: item.id });
  await forget((await transfersOf(item)).filter((each) => each.id.endsWith("/edited")));
  const now = await store.one("items", item.id); // Its words may be others by now.
  if (!now) return;
  const plain = { ...now, edited: false, recipe: "" };
  if (made.blob === file.blob) await store.put({ items: [plain] });
  else await keep(draft, { ...plain, edited: true, recipe: JSON.stringify(made.recipe) }, "edited", made.blob);
  tell({ type: "changed" });
}

/** @param {Item} item */
async function transfersOf(item) {
  return (await store.all("transfers", item.draft)).filter((each) => each.item === item.id);
}

/** @param {Transfer[]} transfers */
async function forget(transfers) {
  const ids = transfers.map((each) => each.id);
  await store.remove({ transfers: ids, files: ids });
  cancel(transfers);
}

/** On the site too, which forgets by itself what cannot be cancelled now. @param {Transfer[]} transfers */
function cancel(transfers) {
  const options = { method: "DELETE", headers: { "X-CSRFToken": token() }, keepalive: true };
  for (const each of transfers) if (each.upload) ask(`/uploads/${each.upload}/`, options).catch(() => {});
}
