/*
 * A rendition on a 2D canvas: where there is no WebGL2, or its context is gone, or the photograph is larger than its textures.
 */

// @ts-check

import { inverse, placement } from "./recipe.js";
import { falloff, STEPS, tone } from "./tone.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./recipe.js").Size} Size */
/** @typedef {import("./tone.js").Tone} Tone */
/** @typedef {{getContext(kind: "2d", options: CanvasRenderingContext2DSettings): unknown, width: number, height: number}} Canvas */
/** @typedef {{colorSpace?: PredefinedColorSpace, willReadFrequently?: boolean, alpha?: boolean}} CanvasRenderingContext2DSettings */

/** Entries of the last table from 0 to 1: a level of 8 bits is eight of them, so that rounding to one costs half an eighth of a level. */
const FINE = 2048;

/** Of numbers that should be whole, or the same. */
const ROUNDING = 1e-6;

/** Rows that are read, changed and written at once: bounds the memory beside the canvas. */
const BAND = 256;

/** What a vignette leaves, by the square of the distance. */
const RINGS = 1024;

/**
 * Draw a rendition over the whole of a canvas. Transparency is laid on white.
 * @param {Canvas} canvas of the rendition's size
 * @param {ImageBitmap} photo
 * @param {Recipe} recipe
 * @param {PredefinedColorSpace} [colorSpace]
 */
export function render(canvas, photo, recipe, colorSpace = "srgb") {
  // Without alpha, pixels are read and written as they are, not divided and multiplied by it.
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { colorSpace, willReadFrequently: true, alpha: false })
  );
  place(context, canvas, photo, recipe);
  const by = tables(tone(recipe));
  for (let top = 0; top < canvas.height; top += BAND) {
    const rows = Math.min(BAND, canvas.height - top);
    const pixels = context.getImageData(0, top, canvas.width, rows, { colorSpace });
    shade(pixels.data, by, canvas, top);
    context.putImageData(pixels, 0, top);
  }
}

/**
 * @param {OffscreenCanvasRenderingContext2D} context
 * @param {Size} size
 * @param {ImageBitmap} photo
 * @param {Recipe} recipe
 */
function place(context, size, photo, recipe) {
  const [a, b, c, d, e, f] = inverse(placement(photo, recipe));
  const { width, height } = size;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  // From pixels of the photograph to pixels of the canvas.
  const [across, down] = [1 / photo.width, 1 / photo.height];
  const matrix = [a * width * across, b * height * across, c * width * down, d * height * down, e * width, f * height];
  const exact = matrix.every((value) => Math.abs(value - Math.round(value)) < ROUNDING);
  context.imageSmoothingEnabled = !exact; // a pixel falls on a pixel
  context.imageSmoothingQuality = "medium";
  context.setTransform(.../** @type {import("./recipe.js").Affine} */ (exact ? matrix.map(Math.round) : matrix));
  context.drawImage(photo, 0, 0);
  context.setTransform(1, 0, 0, 1, 0, 0);
}

/**
 * What is done to each pixel, as tables: `sums[3 * row + channel]` for what a channel's level gives to a row of the mix, in steps
 * of `last`; `last` then has the levels of 8 bits for whatever three of them can add up to, so that nothing need be cut off.
 * @typedef {object} Tables
 * @property {Float32Array[]} sums
 * @property {Uint8ClampedArray} last RGBA
 * @property {number} zero where a sum of 0 lies in `last`
 * @property {Float32Array} ring what the vignette leaves, by the square of the distance
 * @property {boolean} grey the three rows are the same, so the first will do
 */

/** @param {Tone} made @returns {Tables} */
export function tables({ before, mix, vignette, after }) {
  const sums = mix.map((weight, at) =>
    Float32Array.from({ length: STEPS }, (_level, step) => weight * (FINE - 1) * before[(at % 3) * STEPS + step]),
  );
  const [low, high] = [Math.min, Math.max].map((most) =>
    most(...[0, 3, 6].map((row) => sums.slice(row, row + 3).reduce((sum, table) => sum + most(...table), 0))),
  );
  const zero = Math.max(0, Math.ceil(-low)) + 1;
  return {
    sums,
    last: levels(after, zero, zero + Math.max(FINE, Math.ceil(high)) + 2),
    zero: zero + 0.5, // rounds
    ring: Float32Array.from({ length: RINGS }, (_ring, at) => falloff(vignette, Math.sqrt(at / (RINGS - 1)))),
    grey: mix.every((weight, at) => Math.abs(weight - mix[at % 3]) < ROUNDING),
  };
}

/**
 * The tone of some rows of a rendition, in place.
 * @param {Uint8ClampedArray} data RGBA
 * @param {Tables} by
 * @param {Size} size of the whole rendition
 * @param {number} top the first of the rows
 */
export function shade(data, by, { width, height }, top) {
  const row = by.grey ? toned : coloured;
  const across = Float32Array.from({ length: width }, (_column, x) => distance(x, width));
  for (let at = 0, y = top; at < data.length; at += 4 * width, y++) {
    row(data.subarray(at, at + 4 * width), by, across, distance(y, height));
  }
}

/** From the middle, squared, in rings. @param {number} at @param {number} length */
function distance(at, length) {
  return ((2 * at + 1) / length - 1) ** 2 * 0.5 * (RINGS - 1);
}

/**
 * A row of which each channel becomes something else.
 * @param {Uint8ClampedArray} data
 * @param {Tables} by
 * @param {Float32Array} across
 * @param {number} down
 */
function coloured(data, { sums, last, zero, ring }, across, down) {
  const [rr, rg, rb, gr, gg, gb, br, bg, bb] = sums;
  for (let x = 0, at = 0; x < across.length; x++, at += 4) {
    const [r, g, b] = [data[at], data[at + 1], data[at + 2]];
    const left = ring[(across[x] + down + 0.5) | 0];
    data[at] = last[((rr[r] + rg[g] + rb[b]) * left + zero) << 2];
    data[at + 1] = last[(((gr[r] + gg[g] + gb[b]) * left + zero) << 2) + 1];
    data[at + 2] = last[(((br[r] + bg[g] + bb[b]) * left + zero) << 2) + 2];
  }
}

/**
 * A row without colours of its own: one look-up makes the whole pixel.
 * @param {Uint8ClampedArray} data
 * @param {Tables} by
 * @param {Float32Array} across
 * @param {number} down
 */
function toned(data, { sums: [red, green, blue], last, zero, ring }, across, down) {
  const pixels = new Uint32Array(data.buffer, data.byteOffset, across.length);
  const tones = new Uint32Array(last.buffer);
  for (let x = 0, at = 0; x < across.length; x++, at += 4) {
    const left = ring[(across[x] + down + 0.5) | 0];
    pixels[x] = tones[((red[data[at]] + green[data[at + 1]] + blue[data[at + 2]]) * left + zero) | 0];
  }
}

/**
 * Three curves in steps so fine that they need not be interpolated, as pixels of 8 bits; beyond their ends, as at them.
 * @param {Float32Array} after
 * @param {number} zero the entry where they begin
 * @param {number} length
 */
function levels(after, zero, length) {
  const table = new Uint8ClampedArray(4 * length).fill(255);
  for (let fine = 0; fine < length; fine++) {
    const exact = Math.max(0, Math.min(1, (fine - zero) / (FINE - 1))) * (STEPS - 1);
    const step = Math.min(STEPS - 2, Math.floor(exact));
    for (let channel = 0; channel < 3; channel++) {
      const [low, high] = [after[channel * STEPS + step], after[channel * STEPS + step + 1]];
      table[4 * fine + channel] = (low + (high - low) * (exact - step)) * 255;
    }
  }
  return table;
}
