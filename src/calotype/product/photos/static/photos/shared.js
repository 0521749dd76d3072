/*
 * Photographs that another app shared with this one, as the service worker has put them by (web/share.worker.js).
 */

// @ts-check

const SHARED = "calotype-shared";

/** Take them, in their order: they are given once. @returns {Promise<File[]>} */
export async function takeShared() {
  if (!("caches" in window) || !(await caches.has(SHARED))) return [];
  const cache = await caches.open(SHARED);
  const answers = await Promise.all((await cache.keys()).map(async (key) => ({ n: number(key), answer: await cache.match(key) })));
  const files = await Promise.all(answers.sort((a, b) => a.n - b.n).map(({ answer }) => file(answer)));
  await caches.delete(SHARED);
  return files.filter((found) => found !== undefined);
}

/** @param {Request} key */
function number(key) {
  return Number(new URL(key.url).pathname.split("/").pop());
}

/** @param {Response | undefined} answer */
async function file(answer) {
  if (!answer) return undefined;
  const type = answer.headers.get("Content-Type") ?? "";
  return new File([await answer.blob()], decodeURIComponent(answer.headers.get("X-Name") ?? ""), { type });
}
