/*
 * What is on its way to becoming a post, kept in this browser: drafts, their photos, the files, and how far each has come.
 *
 * It lies in IndexedDB, so it survives a reload and is seen by every tab. What does not fit there (no room, or a browser
 * that keeps nothing) stays in this page's memory; such a draft is at home here, and other tabs leave it alone while this
 * one is open. What a page edits and what the queue writes are records of their own, so neither overwrites the other.
 */

// @ts-check

import { newKey } from "../web/request.js";

/**
 * @typedef {object} Draft a post that is being made
 * @property {string} id
 * @property {string} owner the account
 * @property {number} at when it was begun, in ms since 1970
 * @property {string} caption
 * @property {string} key of the request that posts it
 * @property {boolean} submitted it is to be posted as soon as its photos have arrived
 * @property {string} home the page that has part of it in its memory; "" if none has
 *
 * @typedef {object} Item a photo of a draft
 * @property {string} id
 * @property {string} draft
 * @property {number} place among the others
 * @property {string} name
 * @property {string} type
 * @property {string} alt
 * @property {boolean} edited there is a rendition of it too
 * @property {string} recipe how that was made, as JSON
 *
 * @typedef {"photo" | "edited"} Part
 *
 * @typedef {object} Transfer a file on its way
 * @property {string} id
 * @property {string} item
 * @property {string} draft
 * @property {string} key of the request that announces it
 * @property {string} upload its id on the site; "" before it has one
 * @property {number} offset how much has been stored there
 * @property {number} size
 * @property {"waiting" | "arrived" | "refused"} state
 * @property {string} sentence why it was refused
 *
 * @typedef {{id: string, draft: string, blob: Blob}} Kept
 * @typedef {{drafts: Draft, items: Item, transfers: Transfer, files: Kept}} Records
 * @typedef {keyof Records} Store
 */

export const FLAG = "calotype-uploads";
const NAME = "calotype-uploads";
const STORES = /** @type {const} */ (["drafts", "items", "transfers", "files"]);

/** This page, as drafts name it. A lock of this name is held as long as the page lives. */
export const HERE = newKey();
const HOME_LOCK = "calotype-page-";

/** What only this page has. @type {{[S in Store]: Map<string, Records[S]>}} */
const memory = { drafts: new Map(), items: new Map(), transfers: new Map(), files: new Map() };

/** @type {Promise<IDBDatabase | null> | undefined} */
let opened;

/** @returns {Promise<IDBDatabase | null>} null where nothing can be kept */
function database() {
  opened ??= new Promise((resolve) => {
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      return resolve(null);
    }
    request.onupgradeneeded = () => {
      for (const name of STORES) {
        const store = request.result.createObjectStore(name, { keyPath: "id" });
        if (name !== "drafts") store.createIndex("draft", "draft");
      }
    };
    request.onsuccess = () => {
      const made = request.result;
      // Another tab removes it, or has a newer one: this page must not stand in the way.
      made.onversionchange = () => (made.close(), (opened = undefined));
      resolve(made);
    };
    request.onerror = request.onblocked = () => resolve(null);
  });
  return opened;
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/**
 * Write records together. Where they cannot be kept they stay in memory.
 * @param {{[S in Store]?: Records[S][]}} records
 * @returns {Promise<boolean>} whether they are kept
 */
export async function put(records) {
  const entries = /** @type {[Store, any[]][]} */ (Object.entries(records));
  const remembered = entries.every(([store, some]) => some.every((each) => memory[store].has(each.id)));
  if (!remembered && (await write(entries))) return true;
  for (const [store, some] of entries) for (const each of some) memory[store].set(each.id, each);
  return false;
}

/** @param {[Store, any[]][]} entries */
async function write(entries) {
  const db = await database();
  if (!db) return false;
  const transaction = db.transaction(entries.map(([store]) => store), "readwrite");
  const done = committed(transaction);
  try {
    for (const [store, some] of entries) for (const each of some) transaction.objectStore(store).put(each);
  } catch {
    transaction.abort(); // All or nothing.
  }
  // QuotaExceededError above all.
  return done.then(() => true, () => false);
}

/**
 * @template {Store} S
 * @param {S} store
 * @param {string} [draft] only what is of this one
 * @returns {Promise<Records[S][]>}
 */
export async function all(store, draft) {
  const found = /** @type {Map<string, Records[S]>} */ (new Map());
  const db = await database();
  if (db) {
    const from = db.transaction(store).objectStore(store);
    const rows = await answered(draft && store !== "drafts" ? from.index("draft").getAll(draft) : from.getAll());
    for (const row of rows) found.set(row.id, row);
  }
  for (const [id, row] of memory[store]) found.set(id, /** @type {any} */ (row));
  const rows = [...found.values()];
  return draft ? rows.filter((row) => ("draft" in row ? row.draft : row.id) === draft) : rows;
}

/**
 * @template {Store} S
 * @param {S} store
 * @param {string} id
 * @returns {Promise<Records[S] | undefined>}
 */
export async function one(store, id) {
  const here = memory[store].get(id);
  if (here) return /** @type {any} */ (here);
  const db = await database();
  return db ? answered(db.transaction(store).objectStore(store).get(id)) : undefined;
}

/**
 * Change a record, if it is still there. What others change of it meanwhile stays.
 * @template {Store} S
 * @param {S} store
 * @param {string} id
 * @param {Partial<Records[S]>} changes
 */
export async function change(store, id, changes) {
  const here = memory[store].get(id);
  if (here) memory[store].set(id, /** @type {any} */ ({ ...here, ...changes }));
  const db = here ? null : await database();
  if (!db) return;
  const transaction = db.transaction(store, "readwrite");
  const done = committed(transaction);
  const kept = transaction.objectStore(store);
  const reading = kept.get(id);
  reading.onsuccess = () => reading.result && kept.put({ ...reading.result, ...changes });
  // As in `put`: what finds no room is remembered.
  await done.catch(() => reading.result && memory[store].set(id, { ...reading.result, ...changes }));
}

/** @param {{[S in Store]?: string[]}} ids */
export async function remove(ids) {
  const entries = /** @type {[Store, string[]][]} */ (Object.entries(ids));
  for (const [store, some] of entries) for (const id of some) memory[store].delete(id);
  const db = await database();
  if (!db) return;
  const transaction = db.transaction(entries.map(([store]) => store), "readwrite");
  const done = committed(transaction);
  for (const [store, some] of entries) for (const id of some) transaction.objectStore(store).delete(id);
  await done.catch(() => {});
}

/** @param {string} draft with all that belongs to it */
export async function removeDraft(draft) {
  const ids = { drafts: [draft], items: await idsOf("items", draft), transfers: await idsOf("transfers", draft) };
  await remove({ ...ids, files: await idsOf("files", draft) });
  await flag();
}

/** @param {"items" | "transfers" | "files"} store @param {string} draft @returns {Promise<string[]>} */
async function idsOf(store, draft) {
  const ids = [...memory[store].values()].filter((each) => each.draft === draft).map((each) => each.id);
  const db = await database();
  if (!db) return ids;
  const kept = await answered(db.transaction(store).objectStore(store).index("draft").getAllKeys(draft));
  return [...ids, .../** @type {string[]} */ (kept)];
}

/** Whose drafts these are. */
export function me() {
  return document.body.dataset["account"] ?? "";
}

/** @returns {Draft} */
export function newDraft() {
  return { id: newKey(), owner: me(), at: Date.now(), caption: "", key: newKey(), submitted: false, home: "" };
}

/** @param {Item} item @param {Part} part @param {Blob} blob @returns {Transfer} */
export function newTransfer(item, part, blob) {
  const { id, draft } = item;
  const ids = { id: `${id}/${part}`, item: id, draft, key: newKey(), upload: "" };
  return { ...ids, offset: 0, size: blob.size, state: "waiting", sentence: "" };
}

/** The drafts that this page may work on, oldest first. What another account has left here is removed. */
export async function drafts() {
  const rows = await all("drafts");
  const [mine, others] = [rows.filter((row) => row.owner === me()), rows.filter((row) => row.owner !== me())];
  for (const other of others) await removeDraft(other.id);
  const homes = await pagesAlive();
  return mine.filter((row) => !row.home || row.home === HERE || !homes.has(row.home)).sort((a, b) => a.at - b.at);
}

/** @returns {Promise<Set<string>>} */
async function pagesAlive() {
  const held = (await navigator.locks?.query())?.held ?? [];
  return new Set(held.map((lock) => (lock.name ?? "").replace(HOME_LOCK, "")));
}

let home = false;

/** This page has something of the draft that no other has: it alone uploads and posts it. @param {Draft} draft */
export async function keepHere(draft) {
  if (!home) void navigator.locks?.request(HOME_LOCK + HERE, () => new Promise(() => {}));
  home = true;
  draft.home = HERE;
  await put({ drafts: [draft] });
}

/** Says to other pages, which load nothing of this otherwise, whether there is anything to upload. */
export async function flag() {
  const waiting = (await all("drafts")).length;
  try {
    if (waiting) localStorage.setItem(FLAG, "1");
    else localStorage.removeItem(FLAG);
  } catch {
    // Storage is switched off: then uploads go on where they were begun.
  }
}

/** Whether something is lost when this page is left. */
export function onlyHere() {
  return memory.files.size > 0;
}

/**
 * How far photos are.
 * @param {Draft[]} some
 * @param {Map<string, number>} sent bytes that have left, by transfer
 */
export async function progressOf(some, sent) {
  const rows = (await Promise.all(some.map((draft) => all("transfers", draft.id)))).flat();
  const photos = rows.filter((row) => row.id.endsWith("/photo"));
  const size = rows.reduce((sum, row) => sum + row.size, 0);
  const gone = rows.reduce((sum, row) => sum + (row.state === "waiting" ? (sent.get(row.id) ?? row.offset) : row.size), 0);
  const arrived = photos.filter((row) => row.state !== "waiting").length;
  return { photos: photos.length, arrived, share: size ? gone / size : 0 };
}
