/*
 * The way to the worker that exports; without one, the same on the page.
 */

// @ts-check

import { exported, SMALLER } from "./export.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/** A worker that has said nothing by then has not started, whatever became of it. */
const FIRST_WORD_MS = 10_000;
/** And one that holds no lock has died if it is still at work then. */
const LONGEST_MS = 120_000;

/** What became of a worker: it did not start, or it ended without an answer. @typedef {"unstarted" | "died"} Lost */

/**
 * A worker that dies in the middle, as it does when a device runs out of memory, is tried once more with a smaller rendition, on a new
 * worker. The page itself never tries what a worker has died of.
 * @param {string} worker its address; empty for none
 * @param {Blob} file
 * @param {Recipe} recipe
 * @param {AbortSignal} signal ends it
 * @returns {Promise<Blob>}
 */
export async function exportedBeside(worker, file, recipe, signal) {
  if (!worker || typeof OffscreenCanvas === "undefined") return exported(file, recipe);
  for (const longest of [Infinity, SMALLER]) {
    const made = await byWorker(worker, { file, recipe, longest }, signal);
    if (made instanceof Blob) return made;
    if (made === "unstarted") return exported(file, recipe);
  }
  throw new Error("the worker died twice");
}

/**
 * @param {string} address
 * @param {{file: Blob, recipe: Recipe, longest: number}} job
 * @param {AbortSignal} signal
 * @returns {Promise<Blob | Lost>}
 */
function byWorker(address, job, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(address, { type: "module" });
    /** @type {Lost} */
    let lost = "unstarted";
    const end = (/** @type {() => void} */ how) => (clearTimeout(patience), worker.terminate(), how());
    const giveUp = () => end(() => resolve(lost));
    let patience = setTimeout(giveUp, FIRST_WORD_MS);
    signal.addEventListener("abort", () => end(() => reject(signal.reason)));
    worker.addEventListener("error", giveUp);
    worker.addEventListener("message", ({ data }) => {
      if (data.blob) return end(() => resolve(data.blob));
      if (data.error) return end(() => reject(new Error(data.error)));
      // Nobody says that a worker is gone, but it takes its lock with it.
      lost = "died";
      clearTimeout(patience);
      if (data.lock) void navigator.locks.request(data.lock, giveUp);
      else patience = setTimeout(giveUp, LONGEST_MS);
    });
    worker.postMessage(job);
  });
}
