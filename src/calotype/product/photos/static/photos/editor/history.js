/*
 * What was done, step by step. A step is what a person sees as one: a whole drag, not each of its pixels.
 */

// @ts-check

import { same } from "./recipe.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/** So many steps can be undone. */
const STEPS = 100;

/** @param {Recipe} first */
export function history(first) {
  /** @type {Recipe[]} */
  let steps = [first];
  return {
    /** A step is done; nothing if it changed nothing. @param {Recipe} recipe */
    rest(recipe) {
      if (!same(recipe, steps[steps.length - 1])) steps = [...steps.slice(-STEPS), recipe];
    },
    /** @returns {Recipe} as it was before the last step */
    undo() {
      if (steps.length > 1) steps = steps.slice(0, -1);
      return steps[steps.length - 1];
    },
    canUndo: () => steps.length > 1,
    changed: (/** @type {Recipe} */ recipe) => !same(recipe, first),
  };
}
