/*
 * How many notifications are new, kept right while the page is open: beside the bell and in the title.
 *
 * One tab of a browser holds the stream and tells the others: HTTP/1.1 allows six connections to a host, and each
 * stream would keep one. Without a stream (refused, or a browser without it) the page asks once a minute.
 */

// @ts-check

const POLL_MS = 60_000;
const CHANNEL = "calotype-live";

const link = document.querySelector("[data-unread-link]");
const number = document.querySelector("[data-unread]");
const title = document.title;
const channel = "BroadcastChannel" in window ? new BroadcastChannel(CHANNEL) : null;

/** @param {number} unread */
function show(unread) {
  if (!(link instanceof HTMLElement) || !(number instanceof HTMLElement)) return;
  const shown = unread > 98 ? "99+" : String(unread);
  number.textContent = shown;
  number.hidden = unread === 0;
  link.dataset.unreadNow = shown;
  document.title = unread ? `(${shown}) ${title}` : title;
}

/** @param {number} unread */
function tellAll(unread) {
  show(unread);
  channel?.postMessage(unread);
}

async function ask() {
  try {
    const answer = await fetch("/notifications/unread/", { headers: { accept: "application/json" } });
    if (answer.ok) tellAll((await answer.json()).unread);
  } catch {
    // Offline: it is asked again.
  }
}

/** Holds the stream until the page is left. @returns {Promise<void>} */
function listen() {
  return new Promise(() => {
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let polling;
    const stream = new EventSource("/notifications/live/");
    stream.addEventListener("unread", (event) => {
      clearInterval(polling);
      polling = undefined;
      tellAll(JSON.parse(event.data).unread);
    });
    stream.addEventListener("error", () => {
      // The browser itself connects again after a stream that ended; not after a refusal.
      if (stream.readyState === EventSource.CLOSED) polling ??= setInterval(ask, POLL_MS);
    });
  });
}

if (link) {
  channel?.addEventListener("message", (event) => show(event.data));
  if (!("EventSource" in window)) {
    void ask();
    setInterval(ask, POLL_MS);
  } else if (channel && navigator.locks) {
    // Who comes later shows the number at once, and takes over when the first is closed.
    void ask();
    void navigator.locks.request(CHANNEL, listen);
  } else {
    void listen();
  }
}
