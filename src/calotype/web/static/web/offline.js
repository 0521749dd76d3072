/*
 * The page's side of the service worker: registers it, offers its next version, and says when there is no connection.
 */

// @ts-check

import { watch } from "./outbox.js";
import { toast } from "./say.js";
import { gettext } from "./words.js";

const LOOK_MS = 3_600_000;
const LEFT_MS = [500, 2_000, 8_000];

const script = document.body.dataset["serviceWorker"];
/** When this page was kept, if it comes from the device. */
const kept = document.body.dataset["kept"];
const note = document.querySelector("[data-offline]");
let offered = false;

show();
addEventListener("online", show);
addEventListener("offline", show);
if (kept) document.querySelector(".notes ul")?.remove(); // they were told then
watch();
leaveTogether();
if (script && "serviceWorker" in navigator) {
  if (document.readyState === "complete") void register(script);
  else addEventListener("load", () => void register(script));
}

/** "You are offline", and of when a kept page is. @param {Event} [event] */
function show(event) {
  const line = note?.querySelector("span");
  if (!(note instanceof HTMLElement) || !line) return;
  const away = !navigator.onLine;
  note.hidden = !away && !kept;
  if (kept) {
    const at = new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium", timeStyle: "short" });
    line.textContent = gettext("Kept on this device: as of {time}", { time: at.format(new Date(kept)) });
  }
  if (!kept || away || offered) return;
  offered = true;
  const why = event ? gettext("The connection is back.") : gettext("The site has not answered in time.");
  toast(why, { stays: true, action: { label: gettext("Reload"), run: () => location.reload() } });
}

/** Who logs out in one tab is out in all. The worker cannot tell them: what the answer says to the browser ends it. */
function leaveTogether() {
  if (!("BroadcastChannel" in window)) return;
  const channel = new BroadcastChannel("calotype-leaving");
  document.addEventListener("submit", (event) => {
    if (event.target instanceof HTMLFormElement && event.target.action.endsWith("/log-out/")) channel.postMessage("");
  });
  channel.addEventListener("message", () => LEFT_MS.forEach((ms) => setTimeout(leaveIfOut, ms)));
}

async function leaveIfOut() {
  const answer = await fetch("/notifications/unread/", { headers: { Accept: "application/json" } }).catch(() => undefined);
  if (answer?.status === 401) location.replace("/");
}

/** @param {string} address */
async function register(address) {
  if (!navigator.serviceWorker.controller) navigator.serviceWorker.addEventListener("controllerchange", tellWhatIsOpen, { once: true });
  /** @type {ServiceWorkerRegistration | undefined} */
  let registration;
  try {
    registration = await navigator.serviceWorker.register(address, { updateViaCache: "none" });
  } catch {
    return; // Forbidden, or the site is away: everything works without.
  }
  if (!registration) return; // Blocked in this browser.
  const registered = registration;
  if (registration.waiting && navigator.serviceWorker.controller) offer(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const next = registered.installing;
    next?.addEventListener("statechange", () => {
      if (next.state === "installed" && navigator.serviceWorker.controller) offer(next);
    });
  });
  setInterval(() => void registered.update().catch(() => undefined), LOOK_MS);
}

/** @param {ServiceWorker} next waits until somebody wants it */
function offer(next) {
  const run = () => {
    // What stays open elsewhere goes on with the files that it has: their names are theirs alone.
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    next.postMessage({ type: "activate" });
  };
  toast(gettext("A new version is there."), { stays: true, action: { label: gettext("Reload"), run } });
}

/** The worker came after this page: it keeps it now. */
function tellWhatIsOpen() {
  const files = performance.getEntriesByType("resource").map((entry) => entry.name);
  navigator.serviceWorker.controller?.postMessage({ type: "keep", page: location.pathname + location.search, files });
}
