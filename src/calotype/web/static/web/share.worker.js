/*
 * The share target: photographs that another app hands to this one are kept until /new/ takes them (photos/shared.js).
 */

// @ts-check

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const SHARED = "calotype-shared";
const FILES = 60;
const FILE_BYTES = 50_000_000;

worker.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method === "POST" && origin === location.origin && pathname === "/share/") {
    event.respondWith(take(event.request));
  }
});

/** @param {Request} request */
async function take(request) {
  try {
    const files = (await request.formData()).getAll("photos").filter(sendable).slice(0, FILES);
    await caches.delete(SHARED); // what was shared before and never taken
    const cache = await caches.open(SHARED);
    for (const [n, file] of files.entries()) {
      const headers = { "Content-Type": file.type || "application/octet-stream", "X-Name": encodeURIComponent(file.name) };
      await cache.put(`/shared/${n}`, new Response(file, { headers }));
    }
    if (files.length) return Response.redirect("/new/?shared", 303);
  } catch {
    await caches.delete(SHARED).catch(() => false); // half of it, when the disk is full
  }
  return Response.redirect("/share/", 303); // which says that it failed
}

/** @param {FormDataEntryValue} file @returns {file is File} */
function sendable(file) {
  return file instanceof File && file.size > 0 && file.size <= FILE_BYTES;
}
