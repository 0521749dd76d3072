/*
 * Likes and follows that could not be sent wait here, and go out when the connection is back: once each, the last wish only.
 *
 * A module that cannot send dispatches `calotype:unsent` on the document, cancelable, with `{path, fields, key}`. If that is
 * prevented, the wish is taken and the page may go on as if it were sent; else the module takes it back. What the site
 * refuses later is dropped and said.
 *
 * A page may be older than what was done on this device: it was kept before, or something is still waiting. So what was sent
 * is remembered too (`calotype:sent` on the document, `{path, key}`), and a page is told what stands by `calotype:stands`
 * with `{path}` of the last request about it.
 */

// @ts-check

import { Refused, newKey, send, token } from "./request.js";
import { toast } from "./say.js";
import { gettext, ngettext } from "./words.js";

const NAME = "calotype-outbox";
const STORE = "wishes";
const LIMIT = 200;
const KEPT_MS = 7 * 86_400_000;
const TAKEN = /^(\/.+\/)(?:un)?(like|follow)\/$/;

/**
 * @typedef {object} Wish
 * @property {string} about the post or person, and what is wished
 * @property {string} path
 * @property {Record<string, string>} fields
 * @property {string} key
 * @property {string} token
 * @property {string} account
 * @property {number} at of the wish, or since when it is fulfilled
 * @property {boolean} [sent]
 */

const account = document.body.dataset["account"] ?? "";
/** What this page shows is of then. */
const since = Date.parse(document.body.dataset["kept"] ?? "") || performance.timeOrigin;
/** All modules of this page are there: what stands is told to them, not to nobody. @type {Promise<void>} */
const modules = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  else addEventListener("DOMContentLoaded", () => resolve(), { once: true });
});
let waiting = 0;

export function watch() {
  document.addEventListener("calotype:unsent", (event) => {
    const wish = wished(event);
    if (!wish || waiting >= LIMIT) return;
    event.preventDefault();
    void keep(wish);
  });
  document.addEventListener("calotype:sent", (event) => {
    // Only where pages are kept.
    const wish = navigator.serviceWorker?.controller ? wished(event) : undefined;
    if (wish) void run("readwrite", (store) => store.put({ ...wish, sent: true })).catch(() => undefined);
  });
  addEventListener("online", () => void empty());
  navigator.serviceWorker?.addEventListener("message", (event) => {
    if (event.data?.type === "send") void empty();
  });
  void empty();
}

/** @param {Event} event @returns {Wish | undefined} */
function wished(event) {
  const { path, fields, key } = /** @type {CustomEvent<{path: string, fields?: Record<string, string>, key?: string}>} */ (event).detail;
  const { origin, pathname } = new URL(path, location.href);
  const taken = TAKEN.exec(pathname);
  if (!taken || origin !== location.origin || !usable()) return undefined;
  const about = `${taken[1]}${taken[2]}`;
  return { about, path: pathname, fields: fields ?? {}, key: key ?? newKey(), token: token(), account, at: Date.now() };
}

/** Not where the connection is no secure one. */
function usable() {
  return "indexedDB" in window && "locks" in navigator;
}

/** @param {Wish} wish */
async function keep(wish) {
  try {
    await run("readwrite", (store) => store.put(wish));
    waiting += 1;
    const worker = await navigator.serviceWorker?.getRegistration();
    await /** @type {any} */ (worker)?.sync?.register(NAME).catch(() => undefined); // not everywhere, and not when forbidden
  } catch {
    toast(gettext("You are offline, and this could not be kept for later."), { error: true });
  }
}

/** Send what waits; one page at a time. Stops at the first that the site cannot take now. */
async function empty() {
  if (!usable()) return;
  await navigator.locks.request(NAME, async () => {
    const all = /** @type {Wish[]} */ (await run("readonly", (store) => store.getAll()).catch(() => []));
    const wishes = all.filter((wish) => !wish.sent);
    let sent = 0;
    waiting = wishes.length;
    await modules;
    for (const wish of all) if (wish.account === account && (!wish.sent || wish.at > since)) stands(wish.path);
    for (const wish of wishes) {
      const done = await settle(wish);
      if (done === undefined) break;
      sent += Number(done);
      await forget(wish, done);
      waiting -= 1;
    }
    if (sent) toast(ngettext("Sent what had waited for the connection.", "Sent {n} things that had waited for the connection.", sent));
    await trim(all.filter((wish) => wish.sent));
  });
}

/** @param {string} path */
function stands(path) {
  document.dispatchEvent(new CustomEvent("calotype:stands", { detail: { path } }));
}

/** @param {Wish[]} sent */
async function trim(sent) {
  const old = sent.sort((a, b) => b.at - a.at).filter((wish, n) => n >= LIMIT || Date.now() - wish.at > KEPT_MS);
  for (const wish of old) await forget(wish, false);
}

/** @param {Wish} wish @returns {Promise<boolean | undefined>} sent, dropped, or undefined: not now */
async function settle(wish) {
  if (wish.account !== account || Date.now() - wish.at > KEPT_MS) return false;
  try {
    await send(wish.path, wish.fields, { key: wish.key });
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return true; // It was taken, and answered by a page.
    if (!(error instanceof Refused)) throw error;
    if (error.passes || error.status === 401 || error.code === "csrf_failed") return undefined;
    stands(opposite(wish.path));
    toast(gettext("What you did offline was refused: {why}", { why: error.message || String(error.status) }), { error: true });
    return false;
  }
}

/** @param {string} path */
function opposite(path) {
  return path.replace(/(un)?(like|follow)\/$/, (_, un, verb) => `${un ? "" : "un"}${verb}/`);
}

/** Unless there is a newer one by now. @param {Wish} wish @param {boolean} sent it is remembered for pages that are older */
async function forget(wish, sent) {
  const now = /** @type {Wish | undefined} */ (await run("readonly", (store) => store.get(wish.about)));
  if (now?.key !== wish.key) return;
  if (sent) await run("readwrite", (store) => store.put({ ...wish, sent: true, at: Date.now() }));
  else await run("readwrite", (store) => store.delete(wish.about));
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>} once it is on the disk
 */
async function run(mode, work) {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    return request.result;
  } finally {
    database.close(); // a log-out deletes it, and waits for nobody
  }
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "about" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}
