/*
 * The page of a new post. Photos are on their way as soon as they are chosen, while their person orders and describes them;
 * what is not posted yet is a draft that survives a reload.
 */

// @ts-check

import { say, toast } from "../web/say.js";
import { gettext, ngettext } from "../web/words.js";
import * as store from "./drafts.js";
import { intake } from "./intake.js";
import * as items from "./items.js";
import "./problem.js";
import { listen, start, tell } from "./queue.js";
import { reorderable } from "./reorder.js";
import { altOf, newRow, picture, place, progress, renewed } from "./row.js";
import { takeShared } from "./shared.js";
import { forgetRemoved, offerUndo, undoByKey } from "./undo.js";

/**
 * @typedef {import("./drafts.js").Draft} Draft
 * @typedef {import("./drafts.js").Transfer} Transfer
 * @typedef {import("./row.js").Shown} Shown
 */

const WRITE_MS = 250;

const form = /** @type {HTMLFormElement} */ (document.querySelector("form[data-upload]"));
const files = Number(form.dataset["files"]);
const perPost = Number(form.dataset["photos"]);
const caption = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("caption"));
const list = within("items");
const chooser = /** @type {HTMLInputElement} */ (form.elements.namedItem("photos"));
const share = within("share");
const template = /** @type {HTMLTemplateElement} */ (within("item"));
const outgoing = /** @type {HTMLElement} */ (document.querySelector("[data-outgoing]"));

/** @param {string} name @returns {HTMLElement} */
function within(name) {
  return /** @type {HTMLElement} */ (form.querySelector(`[data-${name}]`));
}

/** @type {Draft} */
let draft = store.newDraft();
/** @type {Map<string, Shown>} */
const rows = new Map();
/** @type {Map<string, number>} */
const sent = new Map();
/** @type {Set<string>} */
const waiting = new Set();
/** How often photos have been moved here, and how many of that are kept. */
const moves = { begun: 0, kept: 0 };
/** Whether a photo has arrived since it was said that all have. */
let untold = false;
/** The draft whose post this page goes to when it is made. */
let awaited = "";

// What is shown follows from what is stored.

const SHOW_MS = 150;

/** @type {Promise<unknown>} */
let last = Promise.resolve();
/** What keeps words, and what goes on to the next draft. @type {Promise<void>} */
let keeping = Promise.resolve();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

/**
 * Do it after what was begun before, however long that takes and however it ends: what is given first stands first.
 * @param {() => Promise<void>} work
 * @returns {Promise<void>}
 */
function inTurn(work) {
  const done = last.then(work, work);
  last = done;
  return done;
}

function refresh() {
  clearTimeout(soon);
  soon = undefined;
  return inTurn(show);
}

/** What was written here is kept first, and never replaced by what was kept before. */
async function show() {
  await write();
  const stored = await store.one("drafts", draft.id);
  if (stored?.submitted && awaited !== draft.id) await renew(); // Another tab has submitted it.
  else if (!stored && !rows.size && !caption.value) await renew(); // Another tab may have begun one.
  else if (stored) {
    if (caption.value === draft.caption) caption.value = stored.caption;
    draft = stored;
  }
  const { kept } = moves;
  const photos = await store.all("items", draft.id);
  const transfers = await store.all("transfers", draft.id);
  // What was moved here meanwhile stays where it is.
  if (kept !== moves.begun) for (const item of photos) item.place = rows.get(item.id)?.item.place ?? item.place;
  photos.sort((a, b) => a.place - b.place);
  for (const [id, shown] of rows) {
    if (photos.some((item) => item.id === id)) continue;
    shown.row.remove();
    rows.delete(id);
  }
  photos.forEach((item, at) => {
    const shown = rows.get(item.id) ?? newRow(template, item);
    renewed(shown, item);
    rows.set(item.id, shown);
    if (list.children[at] !== shown.row) list.insertBefore(shown.row, list.children[at] ?? null);
    place(shown, at, photos.length, perPost);
    const some = transfers.filter((each) => each.item === item.id && (item.edited || each.id.endsWith("/photo")));
    progress(shown, some, sent, some.some((each) => waiting.has(each.id)));
    void picture(shown, some);
  });
  if (untold && photos.length && !list.querySelector(":scope > :not(.arrived, .refused)")) {
    untold = false;
    say(gettext("All photos are uploaded."));
  }
  const good = photos.length - list.querySelectorAll(".refused").length;
  form.classList.toggle("has-photos", photos.length > 0);
  within("queue").hidden = photos.length === 0;
  within("discard").hidden = photos.length === 0 && !draft.caption;
  within("unkept").hidden = draft.home !== store.HERE;
  share.textContent = good ? ngettext("Share {n} photo", "Share {n} photos", good) : gettext("Share");
  await showOutgoing();
}

/** What is submitted already, above the form or in its place. */
async function showOutgoing() {
  const going = (await store.drafts()).filter((each) => each.submitted);
  outgoing.hidden = going.length === 0;
  form.hidden = going.some((each) => each.id === awaited);
  const { photos, arrived, share: done } = await store.progressOf(going, sent);
  const [bar, words] = [outgoing.querySelector("progress"), outgoing.querySelector("[data-words]")];
  if (bar) bar.value = done;
  const text = waiting.size
    ? gettext("Waiting for the network: {done} of {all} photos uploaded", { done: arrived, all: photos })
    : gettext("{done} of {all} photos uploaded", { done: arrived, all: photos });
  if (words && words.textContent !== text) words.textContent = text;
  outgoing.classList.toggle("alone", form.hidden);
}

listen((news) => {
  if (news.type === "sent") sent.set(news.transfer, news.sent);
  if (news.type === "waiting" && news.waiting) waiting.add(news.transfer);
  if (news.type === "waiting" && !news.waiting) waiting.delete(news.transfer);
  if (news.type === "transfer") arrived(news.transfer);
  if (news.type === "problem") problem(news);
  if (news.type === "posted") return posted(news);
  soon ??= setTimeout(() => void refresh(), SHOW_MS);
});

/** @param {Transfer} transfer */
function arrived(transfer) {
  waiting.delete(transfer.id);
  if (transfer.draft !== draft.id) return;
  const name = rows.get(transfer.item)?.item.name;
  if (transfer.state === "refused") say(name ? `${name}: ${transfer.sentence}` : transfer.sentence);
  else untold = true;
}

/** @param {import("./queue.js").Problem} news */
function problem(news) {
  if (news.draft === awaited) awaited = "";
  if (!rows.size && !caption.value) void goOn();
}

/** @param {import("./queue.js").Posted} news */
function posted(news) {
  if (news.draft === awaited) return leave(news.posts);
  const mine = news.draft === draft.id;
  toast(ngettext("Your photo is posted.", "Your {n} photos are posted.", news.stored));
  for (const note of news.notes) toast(note, { error: true });
  void (mine ? goOn() : refresh());
}

let described = true;

/** @param {string[]} posts */
function leave(posts) {
  if (posts.length !== 1) location.assign("/");
  else location.assign(described ? `/p/${posts[0]}/` : `/p/${posts[0]}/edit/?new`);
}

/** On to the next draft: one that waits already, or a new one. Words written meanwhile are of that one. */
function renew() {
  const words = caption.value;
  const next = async () => {
    draft = (await store.drafts()).filter((each) => !each.submitted).at(-1) ?? store.newDraft();
    if (draft.home && draft.home !== store.HERE) {
      draft.home = ""; // The page that had the rest of it is gone.
      await store.put({ drafts: [draft] });
    }
    if (caption.value === words) caption.value = draft.caption;
  };
  return (keeping = keeping.then(next, next)); // No words are kept for one draft and then for the other.
}

function goOn() {
  return inTurn(async () => {
    await renew();
    await show();
  });
}

// What people do.

/** @param {File[]} chosen */
async function take(chosen) {
  if (awaited === draft.id) awaited = ""; // That one is on its way: these are of another.
  await show(); // What came before these is counted, wherever it came from.
  const room = Math.max(files - rows.size, 0);
  if (chosen.length > room) toast(ngettext("Only {n} more photo fits.", "Only {n} more photos fit.", room), { error: true });
  if (!(await store.one("drafts", draft.id))) await store.put({ drafts: [draft] });
  let end = Math.max(-1, ...[...rows.values()].map(({ item }) => item.place));
  for (const file of chosen.slice(0, room)) await items.add(draft, file, ++end);
  await store.flag();
  tell({ type: "changed" });
  say(ngettext("{n} photo added.", "{n} photos added.", Math.min(chosen.length, room)));
}

list.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  const shown = rows.get(button?.closest("li")?.dataset["id"] ?? "");
  if (!button || !shown) return;
  if (button.matches("[data-remove]")) void remove(shown);
  if (button.matches("[data-again]")) void items.again(shown.item);
  if (button.matches("[data-edit]")) void items.edit(draft, shown.item).finally(() => button.focus());
});

/** @param {Shown} shown */
function remove({ row }) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  focusOn(next?.querySelector("[data-remove]") ?? chooser); // At once: whoever goes on from there is not called back.
  return inTurn(async () => {
    await write();
    const item = rows.get(row.dataset["id"] ?? "")?.item;
    if (!item) return; // Removed already.
    const removed = await items.remove(item, Array.from(list.children).indexOf(row));
    await show();
    offerUndo(removed, restore);
  });
}

/** @param {import("./items.js").Removed} removed */
function restore(removed) {
  const at = document.activeElement;
  return inTurn(async () => {
    await show();
    if (removed.item.draft !== draft.id) return; // Another tab has posted the others.
    if (rows.size >= files) return void toast(ngettext("Only {n} more photo fits.", "Only {n} more photos fit.", 0), { error: true });
    await items.restore(draft, removed);
    await show();
    const { id, name } = removed.item;
    if (document.activeElement === at) focusOn(rows.get(id)?.row.querySelector("[data-remove]"));
    say(gettext("{name} is back.", { name }));
  });
}

/** @param {Element | null | undefined} element */
function focusOn(element) {
  if (element instanceof HTMLElement) element.focus();
}

undoByKey(restore);

reorderable(list, () => {
  const order = Array.from(list.children, (row) => rows.get(row instanceof HTMLElement ? row.dataset["id"] ?? "" : ""));
  order.forEach((shown, at) => {
    if (!shown) return;
    shown.item = { ...shown.item, place: at };
    place(shown, at, order.length, perPost);
  });
  const placed = order.flatMap((shown) => (shown ? [shown.item] : []));
  moves.begun++;
  const kept = placed.map(({ id, place: at }) => store.change("items", id, { place: at }));
  void Promise.all(kept).finally(() => moves.kept++).then(() => tell({ type: "changed" }));
});

/** @type {ReturnType<typeof setTimeout> | undefined} */
let writing;

form.addEventListener("input", (event) => {
  if (!(event.target instanceof HTMLTextAreaElement)) return;
  clearTimeout(writing);
  writing = setTimeout(write, WRITE_MS);
});
window.addEventListener("pagehide", () => void write());

/** Keep the words. What is being kept already is waited for. */
function write() {
  clearTimeout(writing);
  return (keeping = keeping.then(keepWords, keepWords));
}

/** Only what is kept counts as known here: until then `show` must take no older words for it. */
async function keepWords() {
  const alts = [...rows.values()].map((shown) => ({ shown, alt: altOf(shown.row).value }));
  const changed = alts.filter(({ shown, alt }) => alt !== shown.item.alt);
  await Promise.all(changed.map(({ shown, alt }) => store.change("items", shown.item.id, { alt })));
  for (const { shown, alt } of changed) shown.item = { ...shown.item, alt };
  const [words, { id }] = [caption.value, draft];
  if (draft.caption === words) return;
  if (await store.one("drafts", id)) await store.change("drafts", id, { caption: words });
  else await store.put({ drafts: [{ ...draft, caption: words }] });
  if (draft.id === id) draft.caption = words;
  await store.flag();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});

async function submit() {
  await ready;
  await inTurn(handOver);
  await refresh();
  if (form.hidden) outgoing.focus();
}

async function handOver() {
  await show();
  if (!rows.size) {
    toast(gettext("Choose at least one photo."), { error: true });
    return chooser.focus();
  }
  await write();
  const good = [...rows.values()].filter(({ row }) => !row.matches(".refused"));
  if (!good.length) return void toast(gettext("None of these photos can be posted."), { error: true });
  described = good.every(({ item }) => item.alt.trim() !== "");
  awaited = draft.id;
  await store.change("drafts", draft.id, { submitted: true });
  forgetRemoved();
  tell({ type: "changed" });
}

outgoing.querySelector("[data-another]")?.addEventListener("click", () => {
  awaited = "";
  void goOn().then(() => chooser.focus());
});

within("discard").addEventListener("click", async () => {
  if (!confirm(gettext("Discard these photos and words?"))) return;
  await inTurn(async () => {
    await items.discard(draft);
    forgetRemoved();
    await renew();
  });
  tell({ type: "changed" });
});

window.addEventListener("beforeunload", (event) => {
  if (store.onlyHere()) event.preventDefault();
});

const ready = begin();

async function begin() {
  const written = caption.value; // Before this module was there, or with a form that was refused.
  await renew();
  if (written) caption.value = written;
  const add = (/** @type {File[]} */ chosen) => inTurn(() => take(chosen));
  intake(form, add);
  if (new URLSearchParams(location.search).has("shared")) {
    history.replaceState(null, "", location.pathname);
    const shared = await takeShared();
    if (shared.length) void add(shared);
  }
  form.classList.add("live");
  form.classList.toggle("edits", Boolean(form.dataset["editor"]));
  await store.flag();
  await refresh();
  start();
}
