/*
 * Likes and follows that could not be sent wait here, and go out when the connection is back: once each, the last wish only.
 *
 * A module that cannot send dispatches `calotype:unsent` on the document, cancelable, with `{path, fields, key}`. If that is
 * prevented, the wish is taken and the page may go on as if it were sent; else the module takes it back. What the site
 * refuses later is dropped and said.
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

/** @typedef {{about: string, path: string, fields: Record<string, string>, key: string, token: string, account: string, at: number}} Wish */

const account = document.body.dataset["account"] ?? "";
let waiting = 0;

export function watch() {
  document.addEventListener("calotype:unsent", (event) => {
    const { path, fields, key } = /** @type {CustomEvent<{path: string, fields?: Record<string, string>, key?: string}>} */ (event).detail;
    const { origin, pathname } = new URL(path, location.href);
    const taken = TAKEN.exec(pathname);
    if (!taken || origin !== location.origin || waiting >= LIMIT || !usable()) return;
    event.preventDefault();
    const about = `${taken[1]}${taken[2]}`;
    void keep({ about, path: pathname, fields: fields ?? {}, key: key ?? newKey(), token: token(), account, at: Date.now() });
  });
  addEventListener("online", () => void empty());
  navigator.serviceWorker?.addEventListener("message", (event) => {
    if (event.data?.type === "send") void empty();
  });
  void empty();
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
    const wishes = /** @type {Wish[]} */ (await run("readonly", (store) => store.getAll()).catch(() => []));
    let sent = 0;
    waiting = wishes.length;
    for (const wish of wishes) {
      const done = await settle(wish);
      if (done === undefined) break;
      sent += Number(done);
      await forget(wish);
      waiting -= 1;
    }
    if (sent) toast(ngettext("Sent what had waited for the connection.", "Sent {n} things that had waited for the connection.", sent));
  });
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
    toast(gettext("What you did offline was refused: {why}", { why: error.message || String(error.status) }), { error: true });
    return false;
  }
}

/** Unless there is a newer one by now. @param {Wish} wish */
async function forget(wish) {
  const now = /** @type {Wish | undefined} */ (await run("readonly", (store) => store.get(wish.about)));
  if (now?.key === wish.key) await run("readwrite", (store) => store.delete(wish.about));
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
