/*
 * The home feed: older posts come by themselves (or at the press of a button), newer ones are announced, and whoever comes
 * back or reloads is where they were.
 */

// @ts-check

import { ask, fragment, newKey, Refused } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext, ngettext } from "../web/words.js";
import { postOf, Windowed } from "./windowed.js";

/** @typedef {import("./windowed.js").Post} Post */
/** @typedef {{key: string, places: string[], sizes: number[], seen: string, top: number, end: string}} Visit */

const POLL_MS = 60_000;
const AHEAD = 3;
const VISITS = "calotype-feed";
const VISITS_KEPT = 3;
const NEWER_COUNTED = 20;

const list = /** @type {HTMLElement} */ (document.querySelector("[data-feed]"));
let end = /** @type {HTMLElement} */ (document.querySelector("[data-feed-end]"));
const byButton = list.dataset["byButton"] !== undefined;
const feed = new Windowed(list);

let loading = false;
/** Nothing more is asked for by itself: the last time it failed. */
let failed = false;
let planned = false;

/* --- older posts */

/** Once a frame, however often it is asked for. */
function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    if (feed.fit()) plan();
    if (failed) return;
    if (feed.missing >= 0) void refill();
    else if (!byButton && feed.beyond[1] < AHEAD * innerHeight) void older();
  });
}

async function older() {
  const link = end.querySelector('a[rel="next"]');
  if (loading || !link) return 0;
  loading = true;
  link.setAttribute("aria-busy", "true");
  grows(true);
  try {
    const part = await fragment(link.getAttribute("href") ?? "/");
    const posts = articles(part).map(postOf);
    replaceEnd(part);
    feed.append(posts);
    failed = false;
    plan();
    return posts.length;
  } catch (error) {
    failed = true;
    link.removeAttribute("aria-busy");
    complain(error);
    return 0;
  } finally {
    loading = false;
    // What lies below the list is hidden until it has moved: look.css.
    requestAnimationFrame(() => setTimeout(() => grows(false)));
  }
}

/** @param {boolean} now */
function grows(now) {
  list.setAttribute("aria-busy", String(now));
  list.closest(".browsing")?.classList.toggle("growing", now);
}

/** What was let go and has come near again. */
async function refill() {
  if (loading) return;
  loading = true;
  const index = feed.missing;
  try {
    const before = feed.posts[index - 1]?.place ?? "";
    feed.fill(index, articles(await fragment(before ? `/?before=${before}` : "/")));
    plan();
  } catch (error) {
    failed = true;
    complain(error);
  } finally {
    loading = false;
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target instanceof Element ? event.target.closest('[data-feed-end] a[rel="next"]') : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const before = feed.posts.length;
  const added = await older();
  if (!added) return;
  feed.posts[before]?.node?.focus({ preventScroll: true });
  say(ngettext("{n} older post", "{n} older posts", added));
});

/** @param {ParentNode} part */
function articles(part) {
  return [...part.querySelectorAll("[data-feed] > [data-post]")];
}

/** Another element, so that nothing that is seen has moved. @param {ParentNode} part */
function replaceEnd(part) {
  const next = part.querySelector("[data-feed-end]");
  if (!(next instanceof HTMLElement)) return;
  end.replaceWith(next);
  end = next;
}

function again() {
  failed = false;
  plan();
}

/** @param {unknown} error @param {() => void} [run] */
function complain(error, run = again) {
  if (!(error instanceof Refused)) throw error;
  const action = { label: gettext("Try again"), run };
  const words =
    error.status === 401 ? gettext("You have been logged out.") : gettext("More posts could not be loaded.");
  toast(words, { error: true, action });
}

/* --- newer posts */

const pill = document.createElement("button");

async function lookForNewer() {
  const after = feed.posts[0]?.place;
  if (document.hidden || !after) return;
  try {
    const { newer } = /** @type {{newer: number}} */ (await ask(`/feed/newer/?after=${after}`));
    const words = newer < NEWER_COUNTED ? ngettext("{n} new post", "{n} new posts", newer) : gettext("Many new posts");
    if (newer && pill.textContent !== words) say(words);
    pill.textContent = words;
    pill.hidden = !newer;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

async function showNewer() {
  try {
    const part = await fragment("/");
    const posts = articles(part).map(postOf);
    const known = posts.findIndex((post) => post.place === feed.posts[0]?.place);
    if (known >= 0) feed.prepend(posts.slice(0, known));
    else {
      replaceEnd(part);
      feed.replace(posts);
    }
    pill.hidden = true;
    scrollTo({ top: 0, behavior: "instant" });
    plan();
    feed.posts[0]?.node?.focus({ preventScroll: true });
  } catch (error) {
    complain(error, () => void showNewer());
  }
}

function announceNewer() {
  const place = document.createElement("div");
  place.className = "newer";
  pill.type = "button";
  pill.className = "pill";
  pill.hidden = true;
  pill.addEventListener("click", () => void showNewer());
  place.append(pill);
  list.before(place);
  setInterval(lookForNewer, POLL_MS);
  document.addEventListener("visibilitychange", lookForNewer);
}

/* --- where one was */

/** @returns {Visit[]} */
function visits() {
  try {
    return JSON.parse(sessionStorage.getItem(VISITS) ?? "[]");
  } catch {
    return [];
  }
}

function remember() {
  const index = feed.seen;
  const seen = feed.posts[index];
  if (!seen?.node) return;
  feed.measure();
  const visit = {
    key: history.state?.feed,
    places: feed.posts.map((post) => post.place),
    sizes: feed.posts.map((post) => Math.round(post.size)),
    seen: seen.place,
    top: seen.node.getBoundingClientRect().top,
    end: end.innerHTML,
  };
  const others = visits().filter((each) => each.key !== visit.key);
  try {
    sessionStorage.setItem(VISITS, JSON.stringify([visit, ...others].slice(0, VISITS_KEPT)));
    history.scrollRestoration = "manual";
  } catch {
    history.scrollRestoration = "auto"; // No room: the browser does what it can.
  }
}

/** As the list was, with what the page says now: what is new since then comes above it, what is gone is left out. */
function restore() {
  const visit = visits().find((each) => each.key === history.state?.feed);
  if (!visit) return;
  const now = feed.posts;
  const known = new Set(visit.places);
  const there = new Map(now.map((post) => [post.place, post]));
  const lowest = now.at(-1)?.place ?? "";
  const until = visit.places.indexOf(lowest);
  const posts = visit.places
    .map((place, index) => there.get(place) ?? { place, size: visit.sizes[index] ?? 0, node: null })
    .filter((post, index) => post.node || index > until);
  const above = now.slice(0, now.findIndex((post) => known.has(post.place)));
  if (visit.places.length > now.length) end.innerHTML = visit.end;
  const all = [...above, ...posts];
  const index = all.findIndex((post) => post.place === visit.seen);
  feed.replace(all, Math.max(0, index), index < 0 ? 0 : visit.top);
}

/* --- beginning */

if (history.state?.feed) restore();
else history.replaceState({ ...history.state, feed: newKey() }, "");
addEventListener("pagehide", remember);
addEventListener("scroll", plan, { passive: true });
addEventListener("resize", plan);
addEventListener("online", again);
if (!location.search) announceNewer();
plan();
