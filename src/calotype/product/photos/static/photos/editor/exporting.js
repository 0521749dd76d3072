/*
 * The way to the worker that exports; without one, the same on the page.
 */

// @ts-check

import { exported } from "./export.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/**
 * @param {string} worker its address; empty for none
 * @param {Blob} file
 * @param {Recipe} recipe
 * @param {AbortSignal} signal ends it
 * @returns {Promise<Blob>}
 */
export async function exportedBeside(worker, file, recipe, signal) {
  if (!worker || typeof OffscreenCanvas === "undefined") return exported(file, recipe);
  return (await byWorker(worker, file, recipe, signal)) ?? exported(file, recipe);
}

/**
 * Null if the worker does not start or dies, as it does when a device runs out of memory.
 * @param {string} address
 * @param {Blob} file
 * @param {Recipe} recipe
 * @param {AbortSignal} signal
 * @returns {Promise<Blob | null>}
 */
function byWorker(address, file, recipe, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(address, { type: "module" });
    const end = (/** @type {() => void} */ how) => (worker.terminate(), how());
    signal.addEventListener("abort", () => end(() => reject(signal.reason)));
    worker.addEventListener("error", () => end(() => resolve(null)));
    worker.addEventListener("message", ({ data }) =>
      end(() => (data.blob ? resolve(data.blob) : reject(new Error(data.error)))),
    );
    worker.postMessage({ file, recipe });
  });
}
