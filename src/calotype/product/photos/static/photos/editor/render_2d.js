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
/** @typedef {{colorSpace?: PredefinedColorSpace, willReadFrequently?: boolean}} CanvasRenderingContext2DSettings */

/** Entries of the last table: a level of 8 bits is eight of them, so that rounding to one costs half an eighth of a level. */
const FINE = 2048;

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
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { colorSpace, willReadFrequently: true })
  );
  place(context, canvas, photo, recipe);
  const made = tone(recipe);
  for (let top = 0; top < canvas.height; top += BAND) {
    const rows = Math.min(BAND, canvas.height - top);
    const pixels = context.getImageData(0, top, canvas.width, rows, { colorSpace });
    shade(pixels.data, made, canvas, top);
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
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  // From pixels of the photograph to pixels of the canvas.
  const [across, down] = [1 / photo.width, 1 / photo.height];
  context.setTransform(a * width * across, b * height * across, c * width * down, d * height * down, e * width, f * height);
  context.drawImage(photo, 0, 0);
  context.setTransform(1, 0, 0, 1, 0, 0);
}

/**
 * The tone of some rows of a rendition, in place.
 * @param {Uint8ClampedArray} data RGBA
 * @param {Tone} made
 * @param {Size} size of the whole rendition
 * @param {number} top the first of the rows
 */
export function shade(data, made, size, top) {
  const { before, mix } = made;
  const [m0, m1, m2, m3, m4, m5, m6, m7, m8] = mix.map((value) => value * (FINE - 1));
  const last = levels(made.after);
  const ring = made.vignette > 0 ? rings(made.vignette) : null;
  const { width } = size;
  for (let at = 0, x = 0, y = top; at < data.length; at += 4) {
    const r = before[data[at]];
    const g = before[STEPS + data[at + 1]];
    const b = before[2 * STEPS + data[at + 2]];
    let left = 1;
    if (ring) {
      const [across, down] = [(2 * x + 1) / width - 1, (2 * y + 1) / size.height - 1];
      left = ring[((across * across + down * down) * 0.5 * (RINGS - 1) + 0.5) | 0];
      if (++x === width) (x = 0), y++;
    }
    data[at] = last[index((m0 * r + m1 * g + m2 * b) * left)];
    data[at + 1] = last[FINE + index((m3 * r + m4 * g + m5 * b) * left)];
    data[at + 2] = last[2 * FINE + index((m6 * r + m7 * g + m8 * b) * left)];
  }
}

/** @param {number} value 0 to `FINE` - 1 and beyond */
function index(value) {
  return value <= 0 ? 0 : value >= FINE - 1 ? FINE - 1 : (value + 0.5) | 0;
}

/** A curve in steps so fine that it need not be interpolated, as levels of 8 bits. @param {Float32Array} after */
function levels(after) {
  const table = new Uint8ClampedArray(3 * FINE);
  for (let channel = 0; channel < 3; channel++) {
    for (let fine = 0; fine < FINE; fine++) {
      const exact = (fine / (FINE - 1)) * (STEPS - 1);
      const step = Math.min(STEPS - 2, Math.floor(exact));
      const [low, high] = [after[channel * STEPS + step], after[channel * STEPS + step + 1]];
      table[channel * FINE + fine] = (low + (high - low) * (exact - step)) * 255;
    }
  }
  return table;
}

/** @param {number} amount */
function rings(amount) {
  return Float32Array.from({ length: RINGS }, (_ring, at) => falloff(amount, Math.sqrt(at / (RINGS - 1))));
}
