/*
 * Exports renditions beside the page. Takes `{file, recipe}`, answers `{lock}` when it begins and `{blob}` or `{error}` when it is done. It has
 * the lock as long as it lives; where there are no locks (a page that came over plain HTTP) its name is empty.
 */

// @ts-check

import { exported } from "./export.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./export.js").Engine} Engine */
/** @typedef {{file: Blob, recipe: Recipe, longest?: number, engine?: Engine}} Job */

self.addEventListener("message", (/** @type {MessageEvent<Job>} */ event) => {
  if (!navigator.locks) return answer(event.data, "");
  const lock = `export ${crypto.randomUUID()}`;
  return navigator.locks.request(lock, () => answer(event.data, lock));
});

/** @param {Job} job @param {string} lock */
async function answer({ file, recipe, longest, engine }, lock) {
  self.postMessage({ lock });
  try {
    self.postMessage({ blob: await exported(file, recipe, { longest, engine }) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
}
