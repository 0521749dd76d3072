/*
 * Exports renditions beside the page. Takes `{file, recipe}`, answers `{blob}` or `{error}`.
 */

// @ts-check

import { exported } from "./export.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./export.js").Engine} Engine */

self.addEventListener("message", async (/** @type {MessageEvent<{file: Blob, recipe: Recipe, engine?: Engine}>} */ event) => {
  const { file, recipe, engine } = event.data;
  try {
    self.postMessage({ blob: await exported(file, recipe, engine) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
});
