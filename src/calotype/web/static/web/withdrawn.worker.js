/*
 * In place of the service worker on a site that has none any more (`web.offline = false`): deletes what it has kept, and
 * goes. Drafts of uploads stay: they are no cache.
 */

// @ts-check

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener("install", () => void worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(withdraw()));

async function withdraw() {
  const names = (await caches.keys()).filter((name) => name.startsWith("calotype-"));
  await Promise.all(names.map((name) => caches.delete(name)));
  await worker.registration.unregister();
}
