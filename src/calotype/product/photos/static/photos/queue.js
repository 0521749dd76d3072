/*
 * Uploads what drafts have, three files at a time, and posts those that are submitted: on whatever page this browser is.
 *
 * One tab does it, by a Web Lock, and the others hear of it; when it is closed, the next one goes on. A tab that has part
 * of a draft in its memory does that draft itself.
 */

// @ts-check

import { Refused, ask, newKey, token } from "../web/request.js";
import { gettext } from "../web/words.js";
import { HERE, all, change, drafts, one, put, removeDraft } from "./drafts.js";
import { pause, retries, upload, waitMs } from "./transfer.js";

/**
 * @typedef {import("./drafts.js").Draft} Draft
 * @typedef {import("./drafts.js").Transfer} Transfer
 *
 * @typedef {{type: "changed"}} Changed drafts, photos or what is to be done with them
 * @typedef {{type: "again"}} Again somebody is here, who may have logged in or found a network: it is tried now
 * @typedef {{type: "sent", transfer: string, draft: string, sent: number}} Sent bytes of a file
 * @typedef {{type: "transfer", transfer: Transfer}} Moved a file has arrived, or was refused
 * @typedef {{type: "waiting", transfer: string, waiting: boolean}} Waiting for the site to be there again
 * @typedef {{type: "stop", draft: string, item: string}} Stop a photo, or with "" a draft, is not wanted any longer
 * @typedef {{type: "posted", draft: string, posts: string[], stored: number, notes: string[]}} Posted
 * @typedef {{type: "problem", draft: string, sentence: string, signedOut: boolean}} Problem nothing goes on by itself
 * @typedef {Changed | Again | Sent | Moved | Waiting | Stop | Posted | Problem} News
 */

const LOCK = "calotype-uploads";
const AT_ONCE = 3;

const channel = "BroadcastChannel" in window ? new BroadcastChannel(LOCK) : null;
/** @type {Set<(news: News) => void>} */
const listeners = new Set();

/** @param {(news: News) => void} listener hears what happens here and in other tabs */
export function listen(listener) {
  listeners.add(listener);
}

/** Tell this page and the others. @param {News} news */
export function tell(news) {
  channel?.postMessage(news);
  hear(news);
}

channel?.addEventListener("message", (event) => hear(event.data));
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") tell({ type: "again" });
});

/** @param {News} news */
function hear(news) {
  if (news.type === "changed") start();
  if (news.type === "again") again();
  if (news.type === "stop") stop(news);
  for (const listener of listeners) listener(news);
}

function again() {
  retries.dispatchEvent(new Event("now"));
  if (!stopped.size) return;
  stopped.clear();
  start();
}

/** @typedef {{draft: string, item: string, stopping: AbortController, done: Promise<void>}} Task */

/** What is under way here, by transfer or draft. @type {Map<string, Task>} */
const tasks = new Map();

/** @param {Stop} news */
function stop({ draft, item }) {
  for (const task of tasks.values()) {
    if (task.draft === draft && (!item || task.item === item)) task.stopping.abort();
  }
}

/** @typedef {"here" | "anywhere"} Place */
/** @type {Set<Place>} */
const busy = new Set();
/** Where something has come since it was last looked. @type {Set<Place>} */
const dirty = new Set();
/** @type {Map<Place, () => void>} */
const wakes = new Map();

/** See to it that what there is to do is done. */
export function start() {
  for (const place of /** @type {const} */ (["here", "anywhere"])) {
    dirty.add(place);
    wakes.get(place)?.();
    void begin(place);
  }
}

/** @param {Place} place */
async function begin(place) {
  if (busy.has(place)) return;
  busy.add(place);
  try {
    do {
      dirty.delete(place);
      const work = () => drain(place);
      if (place === "here" || !navigator.locks) await work();
      else await navigator.locks.request(LOCK, work);
    } while (dirty.has(place));
  } finally {
    busy.delete(place);
  }
}

/** Do all there is to do, and what comes meanwhile. @param {Place} place */
async function drain(place) {
  /** @type {Set<string>} */
  const mine = new Set();
  for (;;) {
    const woken = /** @type {Promise<void>} */ (new Promise((resolve) => wakes.set(place, resolve)));
    for (const job of await jobs(place)) {
      if (mine.size >= AT_ONCE) break;
      if (tasks.has(job.id)) continue;
      mine.add(job.id);
      const stopping = new AbortController();
      const done = job.run(stopping.signal).finally(() => (tasks.delete(job.id), mine.delete(job.id)));
      tasks.set(job.id, { draft: job.draft, item: job.item, stopping, done });
    }
    if (!mine.size) return;
    const under = [...mine].map((id) => tasks.get(id)?.done.catch(() => {}));
    await Promise.race([woken, ...under]);
  }
}

/** @typedef {{id: string, draft: string, item: string, run: (signal: AbortSignal) => Promise<void>}} Job */

/** What can be begun now, in the order in which people wait for it. @param {Place} place @returns {Promise<Job[]>} */
async function jobs(place) {
  /** @type {Job[]} */
  const found = [];
  for (const draft of (await drafts()).filter((each) => (each.home === HERE) === (place === "here"))) {
    if (stopped.has(draft.id)) continue;
    const items = (await all("items", draft.id)).sort((a, b) => a.place - b.place);
    const places = new Map(items.map((item, at) => [item.id, at]));
    const transfers = (await all("transfers", draft.id)).filter((each) => places.has(each.item));
    const waiting = transfers.filter((each) => each.state === "waiting");
    waiting.sort((a, b) => (places.get(a.item) ?? 0) - (places.get(b.item) ?? 0));
    for (const each of waiting) {
      const name = items[places.get(each.item) ?? 0]?.name ?? "";
      found.push({ id: each.id, draft: draft.id, item: each.item, run: (signal) => carry(each, name, signal) });
    }
    if (draft.submitted && !waiting.length) {
      found.push({ id: draft.id, draft: draft.id, item: "", run: (signal) => post(draft, signal) });
    }
  }
  return found;
}

/** Drafts whose person has been signed out, until they are here again. @type {Set<string>} */
const stopped = new Set();

/** @param {Transfer} transfer @param {string} name @param {AbortSignal} signal */
async function carry(transfer, name, signal) {
  const { id, draft } = transfer;
  const file = await one("files", id);
  try {
    if (!file) throw new DOMException("", "NotFoundError");
    const keep = async () => {
      if (!signal.aborted) await change("transfers", id, transfer);
    };
    const sent = (/** @type {number} */ bytes) => tell({ type: "sent", transfer: id, draft, sent: bytes });
    const waiting = (/** @type {boolean} */ is) => tell({ type: "waiting", transfer: id, waiting: is });
    await upload(file.blob, transfer, { keep, sent, waiting }, signal, name);
  } catch (error) {
    if (signal.aborted) return;
    if (isSignedOut(error)) return halt(draft);
    transfer.state = "refused";
    transfer.sentence = refusal(error);
    await change("transfers", id, transfer);
  }
  tell({ type: "transfer", transfer });
}

/** @param {unknown} error */
function refusal(error) {
  if (error instanceof Refused) return error.message || gettext("This photo could not be uploaded.");
  return gettext("This file cannot be read any longer. Choose it again.");
}

/** Or somebody else has signed in, for whom this page has no token. @param {unknown} error */
function isSignedOut(error) {
  return error instanceof Refused && (error.status === 401 || error.code === "csrf_failed");
}

/** @param {string} draft whose person has been signed out */
function halt(draft) {
  stopped.add(draft);
  const sentence = gettext("You have been signed out. Log in again, and your photos go on from where they are.");
  tell({ type: "problem", draft, sentence, signedOut: true });
}

/** Post a draft whose photos have arrived. @param {Draft} draft @param {AbortSignal} signal */
async function post(draft, signal) {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const body = await fields(draft);
      if (!body.has("upload")) throw new Refused(422, "empty", gettext("None of these photos can be posted."));
      const headers = { "X-CSRFToken": token(), "Idempotency-Key": draft.key };
      const answer = /** @type {{posts: string[], stored: number, refused: string[], notes: string[]}} */ (
        await ask("/new/", { method: "POST", body, headers, signal })
      );
      await removeDraft(draft.id);
      const notes = [...answer.refused, ...answer.notes];
      return tell({ type: "posted", draft: draft.id, posts: answer.posts, stored: answer.stored, notes });
    } catch (thrown) {
      if (signal.aborted) return;
      const error = thrown instanceof Refused ? thrown : new Refused(0, "failed", "");
      if (isSignedOut(error)) return halt(draft.id);
      if (error.code === "upload_missing" || error.code === "upload_incomplete") return sendAgain(draft);
      if (!error.passes) return giveBack(draft, error);
      await pause(waitMs(failures, error.retryAfterS), signal).catch(() => {});
    }
  }
}

/** @param {Draft} draft */
async function fields(draft) {
  const body = new URLSearchParams({ caption: draft.caption });
  const transfers = new Map((await all("transfers", draft.id)).map((each) => [each.id, each]));
  for (const item of (await all("items", draft.id)).sort((a, b) => a.place - b.place)) {
    const photo = transfers.get(`${item.id}/photo`);
    if (photo?.state !== "arrived") continue;
    const edited = item.edited ? transfers.get(`${item.id}/edited`) : undefined;
    const shown = edited?.state === "arrived";
    body.append("upload", photo.upload);
    body.append("edited", shown ? edited.upload : "");
    body.append("recipe", shown ? item.recipe : "");
    body.append("alt", item.alt);
  }
  return body;
}

/** The site has not kept what had arrived: each file is asked for again, and sent if it is gone. @param {Draft} draft */
async function sendAgain(draft) {
  const arrived = (await all("transfers", draft.id)).filter((each) => each.state === "arrived");
  await put({ transfers: arrived.map((each) => ({ ...each, state: /** @type {const} */ ("waiting") })) });
}

/** It is a draft again, for its person to mend. @param {Draft} draft @param {Refused} error */
async function giveBack(draft, error) {
  await change("drafts", draft.id, { submitted: false, key: newKey() });
  const sentence = error.message || gettext("Your post could not be made. It is kept as a draft.");
  tell({ type: "problem", draft: draft.id, sentence, signedOut: false });
}
