/*
 * A rendition at full size, as a JPEG. In a worker where there is one; nothing here needs a page.
 */

// @ts-check

import { colorSpaceOf, decoded } from "./photo.js";
import { outputSize } from "./recipe.js";
import { render } from "./render_2d.js";
import { renderer } from "./render_gl.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./recipe.js").Size} Size */
/** @typedef {"gl" | "2d"} Engine */

const QUALITY = 0.92;

/** The longest side of the second try: where the first failed, the device had not the memory. */
export const SMALLER = 4096;

/**
 * @param {Blob} file the original
 * @param {Recipe} recipe
 * @param {{longest?: number | undefined, engine?: Engine | undefined}} [how] the longest side, if it is to be limited; the engine, if not whichever
 *   is there
 * @returns {Promise<Blob>} with an ICC profile if its colours are Display P3
 * @throws {DOMException} for what this browser cannot decode, or has no memory for
 */
export async function exported(file, recipe, { longest = Infinity, engine } = {}) {
  const photo = await decoded(file);
  try {
    return await rendition(photo, recipe, longest, engine);
  } catch {
    return await rendition(photo, recipe, SMALLER, engine);
  } finally {
    photo.close();
  }
}

/**
 * @param {ImageBitmap} photo
 * @param {Recipe} recipe
 * @param {number} longest
 * @param {Engine} [engine]
 */
async function rendition(photo, recipe, longest, engine) {
  const size = outputSize(photo, recipe, longest);
  const colorSpace = colorSpaceOf(photo);
  const drawn = engine === "2d" ? null : byGpu(photo, recipe, size, colorSpace, engine === "gl");
  if (drawn) {
    const blob = await encoded(drawn.canvas);
    if (!drawn.gl.isContextLost()) return blob;
  }
  const canvas = blank(size);
  render(canvas, photo, recipe, colorSpace);
  return encoded(canvas);
}

/**
 * Drawn by WebGL2; null where there is none, or only one in software, which takes longer than a 2D canvas at this size.
 * @param {ImageBitmap} photo
 * @param {Recipe} recipe
 * @param {Size} size
 * @param {PredefinedColorSpace} colorSpace
 * @param {boolean} always even in software
 */
function byGpu(photo, recipe, size, colorSpace, always) {
  if (typeof OffscreenCanvas === "undefined" || !(always || hasGpu())) return null;
  const canvas = new OffscreenCanvas(size.width, size.height);
  const gl = canvas.getContext("webgl2", {
    alpha: false,
    antialias: false,
    depth: false,
    preserveDrawingBuffer: true,
  });
  const made = gl && renderer(gl, photo, colorSpace);
  if (!made || gl.drawingBufferWidth !== size.width || gl.drawingBufferHeight !== size.height) return null;
  made.render(recipe);
  const failed = gl.isContextLost() || gl.getError() !== gl.NO_ERROR;
  made.dispose();
  return failed ? null : { canvas, gl };
}

/** Whether WebGL is more than software: asked of one pixel, since the context of a whole photograph alone takes a tenth of a second there. */
function hasGpu() {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext(); // a page has only so many
  return !/swiftshader|llvmpipe|basic render/i.test(name);
}

/** @param {Size} size @returns {OffscreenCanvas} or an element, which is used alike */
function blank({ width, height }) {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(width, height);
  return Object.assign(/** @type {any} */ (globalThis).document.createElement("canvas"), { width, height });
}

/** @param {OffscreenCanvas} canvas @returns {Promise<Blob>} */
async function encoded(canvas) {
  const options = { type: "image/jpeg", quality: QUALITY };
  if ("convertToBlob" in canvas) return canvas.convertToBlob(options);
  const element = /** @type {{toBlob(done: (blob: Blob | null) => void, type: string, quality: number): void}} */ (canvas);
  return new Promise((resolve, reject) =>
    element.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no blob"))), options.type, options.quality),
  );
}
