/*
 * One file on its way to the site, in chunks, from wherever it has got to (photos/staging.py has the protocol).
 *
 * Whatever may pass (no connection, a server that restarts, a limit) is tried again, ever later, for as long as it takes;
 * the site is asked first how much it has. What the site refuses for good is thrown.
 */

// @ts-check

import { Refused, ask, newKey, renewToken, send, token } from "../web/request.js";

/** @typedef {import("./drafts.js").Transfer} Transfer */

const FIRST_CHUNK = 1 << 20;
const LEAST_CHUNK = 1 << 18;
const MOST_CHUNK = 8 << 20;
const QUICK_MS = 2_000;
const SLOW_MS = 10_000;
/** Without a byte going out or an answer coming in, a connection counts as lost. */
const STALLED_MS = 60_000;
/** A larger file is refused anyway, so it is not read. */
const DIGESTED_BYTES = 64e6;
const LAST_WAIT_MS = 30_000;

/** Wakes whoever waits for a better time. */
export const retries = new EventTarget();
window.addEventListener("online", () => retries.dispatchEvent(new Event("now")));

/**
 * @param {Blob} blob
 * @param {Transfer} transfer changed as it goes on
 * @param {object} tell
 * @param {() => Promise<void>} tell.keep called after each chunk
 * @param {(sent: number) => void} tell.sent bytes that have left
 * @param {(waiting: boolean) => void} tell.waiting for the site to be there again
 * @param {AbortSignal} signal
 * @param {string} name
 * @throws {Refused} when it cannot succeed
 */
export async function upload(blob, transfer, tell, signal, name) {
  let chunk = FIRST_CHUNK;
  let failures = 0;
  let renewed = false;
  tell.sent(transfer.offset);
  for (;;) {
    try {
      if (!transfer.upload) await announce(blob, transfer, name, signal);
      else await look(transfer, signal);
      await tell.keep();
      while (transfer.state !== "arrived") {
        const from = transfer.offset;
        const began = performance.now();
        const end = Math.min(from + chunk, blob.size);
        transfer.offset = await patch(transfer.upload, blob.slice(from, end), from, tell.sent, signal);
        if (failures) tell.waiting(false);
        failures = 0;
        renewed = false;
        if (transfer.offset === blob.size) transfer.state = "arrived";
        await tell.keep();
        chunk = nextChunk(chunk, performance.now() - began);
      }
      return;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code === "csrf_failed" && !renewed && (renewed = await renewToken())) continue;
      if (error.code === "upload_missing") Object.assign(transfer, { upload: "", offset: 0, key: newKey() });
      else if (error.code !== "upload_offset" && !error.passes) throw error;
      chunk = Math.max(LEAST_CHUNK, chunk / 2);
      tell.sent(transfer.offset);
      tell.waiting(true);
      await pause(waitMs(failures++, error.retryAfterS), signal);
    }
  }
}

/** @param {number} chunk @param {number} ms that one took */
export function nextChunk(chunk, ms) {
  if (ms < QUICK_MS) return Math.min(chunk * 2, MOST_CHUNK);
  return ms > SLOW_MS ? Math.max(chunk / 2, LEAST_CHUNK) : chunk;
}

/** @param {number} failures before this one @param {number} [atLeastS] */
export function waitMs(failures, atLeastS = 0) {
  const most = Math.min(500 * 2 ** failures, LAST_WAIT_MS);
  return Math.max(atLeastS * 1000, most * (0.5 + Math.random() / 2));
}

/** Ends early when the connection is back, or somebody asks for it. @param {number} ms @param {AbortSignal} signal */
export function pause(ms, signal) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      const timer = setTimeout(end, ms);
      function end() {
        clearTimeout(timer);
        retries.removeEventListener("now", end);
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      }
      retries.addEventListener("now", end);
      signal.addEventListener("abort", end);
    })
  );
}

/** @param {Blob} blob @param {Transfer} transfer @param {string} name @param {AbortSignal} signal */
async function announce(blob, transfer, name, signal) {
  const fields = { name, size: String(blob.size), sha256: await digest(blob) };
  read(transfer, await send("/uploads/", fields, { key: transfer.key, signal }));
}

/** Ask how far it is. @param {Transfer} transfer @param {AbortSignal} signal */
async function look(transfer, signal) {
  read(transfer, await ask(`/uploads/${transfer.upload}/`, { signal }));
}

/** @param {Transfer} transfer @param {unknown} answer */
function read(transfer, answer) {
  const { id, offset, checked } = /** @type {{id: string, offset: number, checked: boolean}} */ (answer);
  Object.assign(transfer, { upload: id, offset, state: checked ? "arrived" : "waiting" });
}

/** What the site compares with what has arrived; "" where the browser cannot say. @param {Blob} blob */
async function digest(blob) {
  if (!crypto.subtle || blob.size > DIGESTED_BYTES) return "";
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Send a chunk. `fetch` does not tell how much has left; this does.
 * @param {string} id
 * @param {Blob} chunk
 * @param {number} offset
 * @param {(sent: number) => void} sent
 * @param {AbortSignal} signal
 * @returns {Promise<number>} how much is stored
 */
function patch(id, chunk, offset, sent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer = setTimeout(() => request.abort(), STALLED_MS);
    const end = () => (clearTimeout(timer), signal.removeEventListener("abort", abort));
    const abort = () => (end(), request.abort(), reject(signal.reason));
    signal.addEventListener("abort", abort);
    request.open("PATCH", `/uploads/${id}/`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.setRequestHeader("Upload-Offset", String(offset));
    request.setRequestHeader("X-CSRFToken", token());
    request.upload.addEventListener("progress", (event) => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), STALLED_MS);
      sent(offset + event.loaded);
    });
    request.addEventListener("loadend", () => {
      end();
      if (request.status === 204) resolve(Number(request.getResponseHeader("Upload-Offset")));
      else reject(refusal(request));
    });
    request.send(chunk);
  });
}

/** @param {XMLHttpRequest} request */
function refusal(request) {
  const after = Number(request.getResponseHeader("Retry-After")) || undefined;
  try {
    const { error } = JSON.parse(request.responseText);
    return new Refused(request.status, String(error.code), String(error.message), after);
  } catch {
    return new Refused(request.status, request.status ? "failed" : "unreachable", "", after);
  }
}
