/*
 * The tone of a recipe as tables: what both renderers do to each pixel, and therefore do alike.
 *
 *     colour = before[colour]          light: a curve for each channel
 *     colour = mix * colour            a 3 x 3 matrix: saturation, the filter's mix
 *     colour = colour * vignette       by the distance from the middle
 *     colour = after[colour]           the filter's curves
 */

// @ts-check

import { filterOf } from "./filters.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./filters.js").Points} Points */
/** @typedef {import("./filters.js").Rows} Mix */

/**
 * @typedef {object} Tone
 * @property {Float32Array} before `STEPS` values of 0 to 1 for red, then green, then blue
 * @property {Mix} mix
 * @property {number} vignette 0 to 1
 * @property {Float32Array} after
 */

/** Entries of a curve. */
export const STEPS = 256;

/** How bright the channels seem, on encoded values (Rec. 709). */
const LUMA = /** @type {const} */ ([0.2126, 0.7152, 0.0722]);

/** What exposure gives at the end of its slider. */
const STOPS = 2;

/** By how much red and blue are weighted at the end of the slider, on linear light. */
const WARM = /** @type {const} */ ([0.28, 0.02, -0.34]);

/** Where a vignette begins and where it is at its full, from 0 in the middle to 1 in the corners; and how dark that is. */
export const VIGNETTE = Object.freeze({ from: 0.3, to: 1.05, depth: 0.85 });

/** @param {Recipe} recipe @returns {Tone} */
export function tone(recipe) {
  const filter = filterOf(recipe.filter);
  const strength = filter ? recipe.strength / 100 : 0;
  const own = saturated(1 + recipe.saturation / 100);
  const mixed = filter ? times(filter.mix, own) : own;
  const dark = 1 - (1 - recipe.vignette / 100) * (1 - strength * (filter?.vignette ?? 0));
  return {
    before: light(recipe),
    mix: blended(own, mixed, strength),
    vignette: dark,
    after: curves(filter?.curves, strength),
  };
}

/** @param {Mix} from @param {Mix} to @param {number} part of the way @returns {Mix} */
function blended(from, to, part) {
  const rows = from.map((value, at) => value + (to[at] - value) * part);
  return /** @type {Mix} */ (/** @type {unknown} */ (rows));
}

/**
 * How much light the vignette leaves.
 * @param {number} amount 0 to 1
 * @param {number} distance from the middle: 1 in a corner
 */
export function falloff(amount, distance) {
  const at = Math.max(0, Math.min(1, (distance - VIGNETTE.from) / (VIGNETTE.to - VIGNETTE.from)));
  return 1 - amount * VIGNETTE.depth * at * at * (3 - 2 * at);
}

/** Exposure, warmth and contrast: a curve for each channel. @param {Recipe} recipe */
function light({ exposure, warmth, contrast }) {
  const gain = 2 ** ((exposure / 100) * STOPS);
  const table = new Float32Array(3 * STEPS);
  for (let channel = 0; channel < 3; channel++) {
    const weight = gain * (1 + (warmth / 100) * WARM[channel]);
    for (let step = 0; step < STEPS; step++) {
      const value = encoded(shoulder(linear(step / (STEPS - 1)) * weight, weight));
      table[channel * STEPS + step] = contrasted(value, contrast / 100);
    }
  }
  return table;
}

/**
 * More light than white is pressed together near white instead of being cut off: nothing changes below the knee.
 * @param {number} value
 * @param {number} most that there can be
 */
function shoulder(value, most) {
  const knee = 0.7;
  if (most <= 1 || value <= knee) return Math.min(1, value);
  const [over, range] = [(value - knee) / (1 - knee), (most - knee) / (1 - knee)];
  // Reinhard's extended curve: 0 at the knee with slope 1, 1 at the most there is.
  return knee + (1 - knee) * ((over * (1 + over / (range * range))) / (1 + over));
}

/** An S about the middle for more of it, its mirror image for less. @param {number} value @param {number} amount -1 to 1 */
function contrasted(value, amount) {
  const s = value < 0.5 ? 2 * value * value : 1 - 2 * (1 - value) * (1 - value);
  return amount >= 0 ? value + (s - value) * amount * 0.9 : 0.5 + (value - 0.5) * (1 + amount * 0.6);
}

/** @param {number} amount 0 is grey, 1 is as it was @returns {Mix} */
export function saturated(amount) {
  const [r, g, b] = LUMA.map((weight) => weight * (1 - amount));
  return [r + amount, g, b, r, g + amount, b, r, g, b + amount];
}

/** @param {Mix} second @param {Mix} first @returns {Mix} */
function times(second, first) {
  const rows = second.map((_value, at) => {
    const [row, column] = [at - (at % 3), at % 3];
    return [0, 1, 2].reduce((sum, k) => sum + second[row + k] * first[3 * k + column], 0);
  });
  return /** @type {Mix} */ (/** @type {unknown} */ (rows));
}

/** @param {readonly [Points, Points, Points] | undefined} points @param {number} strength */
function curves(points, strength) {
  const table = new Float32Array(3 * STEPS);
  for (let channel = 0; channel < 3; channel++) {
    const curve = points ? smooth(points[/** @type {0 | 1 | 2} */ (channel)]) : (/** @type {number} */ x) => x;
    for (let step = 0; step < STEPS; step++) {
      const value = step / (STEPS - 1);
      table[channel * STEPS + step] = Math.max(0, Math.min(1, value + (curve(value) - value) * strength));
    }
  }
  return table;
}

/**
 * A smooth curve through points that rise from left to right; it never turns back between them (Fritsch and Carlson 1980).
 * @param {Points} points
 * @returns {(x: number) => number}
 */
export function smooth(points) {
  const slopes = points.slice(1).map(([x, y], at) => (y - points[at][1]) / (x - points[at][0]));
  const tangents = points.map((_point, at) => {
    const [left, right] = [slopes[at - 1] ?? slopes[at], slopes[at] ?? slopes[at - 1]];
    return left * right <= 0 ? 0 : (2 * left * right) / (left + right);
  });
  return (x) => {
    const next = points.findIndex(([from]) => from > x);
    const at = Math.max(0, next < 0 ? points.length - 2 : next - 1);
    const [[x0, y0], [x1, y1]] = [points[at], points[at + 1]];
    const [t, width] = [(x - x0) / (x1 - x0), x1 - x0];
    const [t2, t3] = [t * t, t * t * t];
    return (
      y0 * (2 * t3 - 3 * t2 + 1) +
      width * tangents[at] * (t3 - 2 * t2 + t) +
      y1 * (3 * t2 - 2 * t3) +
      width * tangents[at + 1] * (t3 - t2)
    );
  };
}

/** @param {number} value */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** @param {number} value */
function encoded(value) {
  return value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055;
}
