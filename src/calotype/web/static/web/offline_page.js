/*
 * The page that is shown for one that is not on the device: what is, and back as soon as the site answers.
 */

// @ts-check

const PAGES = "calotype-1-pages";
const ASK_MS = 10_000;

if (location.search === "?log-out") {
  document.querySelector("[data-still-in]")?.removeAttribute("hidden");
  document.querySelector("[data-not-here]")?.remove();
  document.querySelector("[data-retry]")?.setAttribute("href", "/settings/profile/");
  forgetPlaces();
} else {
  wait();
}
void list();

/** Where one was in feeds and grids: a worker cannot delete it, and the site, which would tell the browser to, was not reached. */
function forgetPlaces() {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is switched off.
  }
}

/**
 * Reload once the site answers, unless somebody is just going somewhere else: that is theirs to say. On `/offline/` itself there is
 * nothing to wait for.
 */
function wait() {
  if (location.pathname === "/offline/") return;
  let leaving = false;
  addEventListener("beforeunload", () => {
    leaving = true;
  });
  const ask = async () => {
    // A device may well be connected and the site away.
    const answers =
      !document.hidden && navigator.onLine && (await fetch("/offline/", { method: "HEAD", cache: "no-store" }).catch(() => undefined))?.ok;
    if (answers && !leaving) location.reload();
    leaving = false; // who is still here the next time has not gone
  };
  addEventListener("online", ask);
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, ASK_MS);
}

/** Links to the pages that are kept, the latest first, by their titles. */
async function list() {
  const place = document.querySelector("[data-kept-pages]");
  if (!place || !("caches" in window) || !(await caches.has(PAGES))) return;
  const cache = await caches.open(PAGES);
  for (const request of [...(await cache.keys())].reverse()) {
    const answer = await cache.match(request, { ignoreVary: true });
    const page = new DOMParser().parseFromString((await answer?.text()) ?? "", "text/html");
    const link = document.createElement("a");
    link.href = new URL(request.url).pathname;
    link.dir = "auto";
    link.textContent = page.title.replace(/ · Calotype$/, "");
    const item = document.createElement("li");
    item.append(link);
    place.querySelector("ul")?.append(item);
    place.removeAttribute("hidden");
  }
}
