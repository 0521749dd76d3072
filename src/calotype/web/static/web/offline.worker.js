/*
 * The service worker: what of the site is there without a connection, and that nothing of it outlives a log-out.
 *
 * Files whose names carry a hash, and photographs, are answered from the device; a page comes from the site, and from the
 * device when the site does not answer. Kept are the feed, posts and profiles of the person who is signed in, by an
 * allow-list: nothing else ever is. Each page says whose it is (X-Account); as soon as it is somebody else, all is deleted.
 * The view `web.offline.service_worker` puts `self.calotype` before this text, and the other workers' after it.
 */

// @ts-check

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {{version: string, precached: string[]}} of this release: the page for offline first */
const { precached } = /** @type {any} */ (self).calotype;
const OFFLINE = precached[0] ?? "/offline/";

// The number is of their format: another one deletes what an older worker has kept.
const FILES = "calotype-1-files";
const PAGES = "calotype-1-pages";
const IMAGES = "calotype-1-images";
const OWNER = "calotype-1-owner";
const SHARED = "calotype-shared";
const PRIVATE = [PAGES, IMAGES, OWNER, SHARED];
const DATABASES = ["calotype-uploads", "calotype-outbox"];

/** Entries of a cache. Files of earlier releases stay a while: pages that are kept name them. */
const LIMITS = /** @type {Record<string, number>} */ ({ [FILES]: 250, [PAGES]: 30, [IMAGES]: 200 });
const IMAGE_BYTES = 1_500_000;
const IMAGE_MS = 7 * 86_400_000;
const PATIENCE_MS = 4_000;
const TRIM_MS = 500;

const KEPT_PAGE = /^\/(?:p\/\d+\/|@[^/]+\/)?$/;
const HASHED_FILE = /^\/static\/(?!admin\/|console\/).+\.[0-9a-f]{12}\.[a-z0-9]+$/;
const IMAGE = /^\/media\//;
const LEFT_ALONE = /^\/(?:admin|ops)\//;

/** Grows with each deletion: what was asked for before is not kept after. */
let deletions = 0;
/** @type {string | undefined} whose the kept pages are; "" nobody's; undefined: not looked up yet */
let owner;
/** Shown since the last trim, so not to be dropped by the next. @type {Set<string>} */
const used = new Set();
/** @type {Map<string, Promise<void>>} */
const trimming = new Map();

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", take);
worker.addEventListener("message", (event) => {
  if (event.data?.type === "activate") void worker.skipWaiting();
  if (event.data?.type === "keep") event.waitUntil(keepOpenPage(event.data.page, event.data.files));
});

// A worker of a new release waits here until a page asks for it, or until the last page of the old one is left.
async function install() {
  const cache = await caches.open(FILES);
  await cache.addAll(precached.map((path) => new Request(path, { cache: path === OFFLINE ? "reload" : "default" })));
}

async function activate() {
  const ours = [FILES, ...PRIVATE];
  const old = (await caches.keys()).filter((name) => /^calotype-\d+-/.test(name) && !ours.includes(name));
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.registration.navigationPreload?.enable();
  await worker.clients.claim();
}

/** @param {FetchEvent} event */
function take(event) {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.method === "POST") {
    if (pathname === "/log-out/") event.respondWith(logOut(event));
  } else if (request.method !== "GET" || request.headers.has("Range")) {
    return;
  } else if (request.mode === "navigate") {
    if (!LEFT_ALONE.test(pathname) && !IMAGE.test(pathname)) event.respondWith(page(event));
  } else if (HASHED_FILE.test(pathname)) {
    event.respondWith(cached(event, FILES));
  } else if (IMAGE.test(pathname)) {
    event.respondWith(cached(event, IMAGES));
  }
}

/* ------------------------------------------------------------------------------------------------ files and photos */

/**
 * From the device if it is there, else from the site and then kept.
 * @param {FetchEvent} event
 * @param {string} name
 */
async function cached(event, name) {
  const { request } = event;
  used.add(request.url); // Before it is looked for, or a trim that is under way could drop what is about to be shown.
  const found = await match(name, request.url);
  if (found && (name === FILES || young(found))) return found;
  const begun = deletions;
  const answer = await fetch(request).catch((error) => {
    if (found) return found;
    throw error;
  });
  if (answer !== found && keepable(answer, name)) event.waitUntil(keep(name, request.url, answer.clone(), begun));
  return answer;
}

/** Who may see a photo might have changed: as the site says, it is asked again after a week. @param {Response} answer */
function young(answer) {
  return Date.now() - Date.parse(answer.headers.get("Date") ?? "") < IMAGE_MS;
}

/**
 * @param {Response} answer
 * @param {string} name of the cache
 */
function keepable(answer, name) {
  if (answer.status !== 200 || answer.type !== "basic" || answer.redirected) return false;
  if (/no-store/.test(answer.headers.get("Cache-Control") ?? "")) return false;
  return name !== IMAGES || Number(answer.headers.get("Content-Length") ?? Infinity) <= IMAGE_BYTES;
}

/* ----------------------------------------------------------------------------------------------------------- pages */

/** From the site; from the device if it does not answer in time or cannot. @param {FetchEvent} event */
async function page(event) {
  const { request } = event;
  const fromSite = load(event);
  const late = sleep(PATIENCE_MS).then(async () => (await copy(request.url)) ?? fromSite);
  event.waitUntil(fromSite.catch(() => undefined)); // it is kept, however late
  event.waitUntil(replaceIfAlone());
  void late.catch(() => undefined);
  try {
    const answer = await Promise.race([fromSite, late]);
    const unreachable = answer.status >= 502 && answer.status <= 504;
    return (unreachable && (await copy(request.url))) || answer;
  } catch {
    return (await copy(request.url)) ?? (await match(FILES, OFFLINE)) ?? Response.error();
  }
}

/** @param {FetchEvent} event */
async function load(event) {
  const [begun, at] = [deletions, Date.now()];
  const answer = (await /** @type {Promise<Response | undefined>} */ (event.preloadResponse)) ?? (await fetch(event.request));
  await arrived(event.request.url, answer, begun, at, event);
  return answer;
}

/**
 * Before anybody sees a page: whose it is. After: it is kept, if it is one of those that are.
 * @param {string} address
 * @param {Response} answer
 * @param {number} begun
 * @param {number} at when it was asked for
 * @param {ExtendableEvent} event
 */
async function arrived(address, answer, begun, at, event) {
  const account = answer.status === 401 ? "0" : answer.headers.get("X-Account");
  if (account === null || begun !== deletions) return;
  await belongsTo(account);
  const { pathname, search } = new URL(address);
  const spoken = speak(answer.headers.get("Content-Language"));
  event.waitUntil(spoken);
  if (account !== "0" && KEPT_PAGE.test(pathname) && !search && keepable(answer, PAGES)) {
    const kept = stamped(answer.clone(), at);
    event.waitUntil(spoken.then(() => keep(PAGES, address, kept, deletions)));
  }
}

/** By the clock of this device: what was done on it later is known to be newer. @param {Response} answer @param {number} at */
function stamped(answer, at) {
  const headers = new Headers(answer.headers);
  headers.set("X-Kept", new Date(at).toISOString());
  return new Response(answer.body, { headers });
}

/** Nobody: a session has ended, and drafts wait for their owner. Somebody else: all goes. @param {string} account */
async function belongsTo(account) {
  const before = await whose();
  if (account === before) return;
  if (account === "0") return forgetPages();
  if (before) await forget();
  owner = account;
  await quietly(async () => (await caches.open(OWNER)).put("/owner", new Response(account)));
}

async function whose() {
  owner ??= (await (await match(OWNER, "/owner"))?.text()) ?? "";
  return owner;
}

/** Another language was chosen: pages in the one before go, and the one for offline is fetched anew. @param {string | null} language */
async function speak(language) {
  const kept = await match(FILES, OFFLINE);
  if (language === null || kept?.headers.get("Content-Language") === language) return;
  await caches.delete(PAGES);
  await quietly(async () => (await caches.open(FILES)).add(new Request(OFFLINE, { cache: "reload" })));
}

/**
 * A kept page, which says of when it is: `data-kept` on its body.
 * @param {string} address
 */
async function copy(address) {
  const found = await match(PAGES, address);
  if (!found) return undefined;
  const at = found.headers.get("X-Kept") ?? new Date(found.headers.get("Date") ?? Date.now()).toISOString();
  const text = (await found.text()).replace("<body", `<body data-kept="${at}"`);
  const headers = new Headers(found.headers);
  headers.delete("Content-Encoding");
  headers.delete("Content-Length");
  return new Response(text, { headers });
}

/** A page leads on and no other is open: the moment for a worker that waits. */
async function replaceIfAlone() {
  const { waiting } = worker.registration;
  if (waiting && (await worker.clients.matchAll({ type: "window" })).length <= 1) waiting.postMessage({ type: "activate" });
}

/**
 * The page that was open before there was a worker, and what it has loaded; the browser still has most of it.
 * @param {string} path
 * @param {string[]} files
 */
async function keepOpenPage(path, files) {
  const [begun, at] = [deletions, Date.now()];
  const waits = /** @type {Promise<unknown>[]} */ ([]);
  const event = /** @type {ExtendableEvent} */ (/** @type {unknown} */ ({ waitUntil: (/** @type {Promise<unknown>} */ p) => waits.push(p) }));
  await quietly(async () => {
    const address = new URL(path, location.origin).href;
    await arrived(address, await fetch(address, { headers: { Accept: "text/html" } }), begun, at, event);
  });
  for (const file of files.slice(0, LIMITS[FILES])) {
    const { origin, pathname } = new URL(file, location.origin);
    const name = HASHED_FILE.test(pathname) ? FILES : IMAGE.test(pathname) ? IMAGES : undefined;
    if (origin !== location.origin || !name || (await match(name, file))) continue;
    await quietly(async () => {
      const answer = await fetch(file);
      if (keepable(answer, name)) await keep(name, file, answer, begun);
    });
  }
  await Promise.all(waits);
}

/* ---------------------------------------------------------------------------------------------------------- caches */

/**
 * @param {string} name
 * @param {string} address
 */
async function match(name, address) {
  try {
    return await caches.match(address, { cacheName: name, ignoreVary: true });
  } catch {
    return undefined; // A store that is broken or full is none; the site is still there.
  }
}

/**
 * @param {string} name
 * @param {string} address
 * @param {Response} answer
 * @param {number} begun
 */
async function keep(name, address, answer, begun) {
  if (name !== FILES && (begun !== deletions || !(await whose()))) return;
  await quietly(async () => {
    const cache = await caches.open(name);
    await cache.put(address, answer);
    if (name !== FILES && begun !== deletions) await cache.delete(address);
  });
  let trim = trimming.get(name);
  if (!trim) trimming.set(name, (trim = sleep(TRIM_MS).then(() => quietly(() => drop(name)))));
  await trim;
}

/** The oldest first, but for those shown since the last time: they count as new. @param {string} name */
async function drop(name) {
  trimming.delete(name);
  if (!(await caches.has(name))) return; // deleted meanwhile
  const cache = await caches.open(name);
  const keys = await cache.keys();
  let over = keys.length - (LIMITS[name] ?? 0);
  for (const { url } of keys) {
    if (over <= 0) return;
    const { pathname } = new URL(url);
    if (precached.includes(pathname) || pathname === "/") continue;
    const again = used.delete(url) && (await cache.match(url, { ignoreVary: true }));
    if (again) await cache.put(url, again);
    else if (await cache.delete(url, { ignoreVary: true })) over -= 1;
  }
}

/** @param {() => Promise<unknown>} work */
async function quietly(work) {
  try {
    await work();
  } catch (error) {
    // What cannot be kept is not there offline: a full disk is no reason to fail a page.
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
  }
}

/** @param {number} ms @returns {Promise<void>} */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/* --------------------------------------------------------------------------------------------- ----- logging out */

/** @param {FetchEvent} event */
async function logOut(event) {
  let answer;
  try {
    answer = await fetch(event.request);
  } catch {
    await forget();
    return Response.redirect(`${OFFLINE}?log-out`, 303);
  }
  if (answer.type === "opaqueredirect" || answer.ok) await forget();
  return answer;
}

function forgetPages() {
  deletions += 1;
  owner = undefined;
  return Promise.all([PAGES, IMAGES].map((name) => caches.delete(name)));
}

async function forget() {
  await forgetPages();
  await Promise.all([...PRIVATE.map((name) => caches.delete(name)), ...DATABASES.map(erase)]);
  owner = "";
}

/** A page that still has it open is told to close it; the deletion goes on as soon as it has. @param {string} name */
function erase(name) {
  return new Promise((resolve) => {
    const deleting = indexedDB.deleteDatabase(name);
    deleting.onsuccess = deleting.onerror = deleting.onblocked = resolve;
  });
}
