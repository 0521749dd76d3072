/*
 * Background Sync: what waits in the outbox goes out although no page is open. An open page does it itself (outbox.js), and
 * says so; what is refused here stays for the next page, which tells the person.
 */

// @ts-check

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const NAME = "calotype-outbox";
const STORE = "wishes";

/** @typedef {{about: string, path: string, fields: Record<string, string>, key: string, token: string, sent?: boolean}} Wish */

worker.addEventListener("sync", (event) => {
  const sync = /** @type {ExtendableEvent & {tag: string}} */ (event);
  if (sync.tag === NAME) sync.waitUntil(empty());
});

async function empty() {
  const [client] = await worker.clients.matchAll({ type: "window" });
  if (client) client.postMessage({ type: "send" });
  else await navigator.locks.request(NAME, sendAll);
}

/** Rejects if the site cannot be reached: the browser tries again later. */
async function sendAll() {
  const database = await opened();
  try {
    for (const wish of /** @type {Wish[]} */ (await done(database.transaction(STORE).objectStore(STORE).getAll()))) {
      if (wish.sent) continue;
      const headers = { Accept: "application/json", "X-CSRFToken": wish.token, "Idempotency-Key": wish.key };
      const answer = await fetch(wish.path, { method: "POST", headers, body: new URLSearchParams(wish.fields) });
      if (answer.status === 429 || answer.status >= 500) throw new Error(`the site answers ${answer.status}`);
      if (answer.ok && !/log-in/.test(answer.url)) await fulfilled(database, wish);
    }
  } finally {
    database.close();
  }
}

/** Remembered for pages that are older, unless there is a newer one by now. @param {IDBDatabase} database @param {Wish} wish */
async function fulfilled(database, wish) {
  const store = database.transaction(STORE, "readwrite").objectStore(STORE);
  const now = /** @type {Wish | undefined} */ (await done(store.get(wish.about)));
  if (now?.key === wish.key) await done(store.put({ ...wish, sent: true, at: Date.now() }));
}

/** @returns {Promise<IDBDatabase>} */
function opened() {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "about" });
  return done(opening);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
