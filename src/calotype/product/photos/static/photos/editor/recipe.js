/*
 * A recipe: what was done to a photograph, as numbers. The original is never changed; a recipe and the original make the
 * rendition, in a preview as at full size. Pure functions only: both renderers take their geometry and their tables here.
 *
 * The order of the geometry: the upright photograph is turned by quarters, mirrored, straightened (turned by up to 45
 * degrees and enlarged until it fills its frame again), and of this frame the crop is what is kept.
 *
 * The order of the tone: light (exposure and warmth, on linear light; then contrast), a 3 x 3 matrix (saturation, the
 * filter's mix), the vignette, the filter's curves. Everything else is on encoded values, as people see them.
 */

// @ts-check

import { filterOf } from "./filters.js";

/** @typedef {"free" | "1:1" | "4:5" | "16:9"} Aspect */

/** @typedef {[number, number, number, number]} Box left, top, width and height, in parts of the frame */

/**
 * @typedef {object} Recipe
 * @property {1} v the version of this format
 * @property {0 | 1 | 2 | 3} turn quarters clockwise
 * @property {boolean} flip mirrored left to right, after turning
 * @property {number} straighten degrees clockwise, -45 to 45
 * @property {Box} crop
 * @property {Aspect} aspect the shape the crop is held to
 * @property {number} exposure -100 to 100, for two stops
 * @property {number} contrast -100 to 100
 * @property {number} warmth -100 to 100
 * @property {number} saturation -100 to 100
 * @property {number} vignette 0 to 100
 * @property {string} filter one of `FILTERS`, or none
 * @property {number} strength of the filter, 0 to 100
 */

/** @typedef {{width: number, height: number}} Size */

/** @typedef {[number, number, number, number, number, number]} Affine x' = a x + c y + e, y' = b x + d y + f */

/** @type {Readonly<Recipe>} what changes nothing */
export const PLAIN = Object.freeze({
  v: 1,
  turn: 0,
  flip: false,
  straighten: 0,
  crop: /** @type {Box} */ ([0, 0, 1, 1]),
  aspect: "free",
  exposure: 0,
  contrast: 0,
  warmth: 0,
  saturation: 0,
  vignette: 0,
  filter: "",
  strength: 100,
});

/** @type {Record<Exclude<Aspect, "free">, number>} width by height */
export const ASPECTS = { "1:1": 1, "4:5": 4 / 5, "16:9": 16 / 9 };

/** @type {Record<"straighten" | "exposure" | "contrast" | "warmth" | "saturation" | "vignette" | "strength", [number, number]>} */
export const RANGES = {
  straighten: [-45, 45],
  exposure: [-100, 100],
  contrast: [-100, 100],
  warmth: [-100, 100],
  saturation: [-100, 100],
  vignette: [0, 100],
  strength: [0, 100],
};

/** A crop has at least this part of the frame, each way. */
export const SMALLEST = 0.05;

/* ------------------------------------------------------------------------------------------------------ reading one */

/**
 * A recipe from anywhere, with every field in its range; what is missing or makes no sense is as in `PLAIN`.
 * @param {unknown} given
 * @returns {Recipe}
 */
export function read(given) {
  /** @type {Record<string, unknown>} */
  const from = typeof given === "object" && given !== null ? { ...given } : {};
  const turn = from["turn"];
  const aspect = from["aspect"];
  /** @type {Recipe} */
  const recipe = {
    ...PLAIN,
    turn: turn === 1 || turn === 2 || turn === 3 ? turn : 0,
    flip: from["flip"] === true,
    crop: box(from["crop"]),
    aspect: aspect === "1:1" || aspect === "4:5" || aspect === "16:9" ? aspect : "free",
    filter: filterOf(from["filter"])?.id ?? "",
  };
  for (const name of /** @type {(keyof typeof RANGES)[]} */ (Object.keys(RANGES))) {
    const value = from[name];
    if (typeof value === "number" && Number.isFinite(value)) recipe[name] = clamp(value, ...RANGES[name]);
  }
  return recipe;
}

/** @param {unknown} given @returns {Box} */
function box(given) {
  if (!Array.isArray(given) || given.length !== 4 || !given.every(Number.isFinite)) return [...PLAIN.crop];
  const [x, y, width, height] = /** @type {Box} */ (given);
  return inside([x, y, width, height]);
}

/** @param {Recipe} left @param {Recipe} right */
export function same(left, right) {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Whether it changes nothing: the shape that a crop of everything is held to does not count. @param {Recipe} recipe */
export function isPlain(recipe) {
  const strength = recipe.filter ? recipe.strength : PLAIN.strength;
  return same({ ...recipe, aspect: "free", strength }, PLAIN);
}

/* --------------------------------------------------------------------------------------------------------- geometry */

/** The photograph after turning. @param {Size} photo @param {Recipe} recipe @returns {Size} */
export function turned(photo, recipe) {
  return recipe.turn % 2 ? { width: photo.height, height: photo.width } : photo;
}

/**
 * How much a straightened photograph is enlarged, so that no corner of its frame is empty.
 * @param {Size} frame
 * @param {number} degrees
 */
export function enlargement(frame, degrees) {
  const angle = (Math.abs(degrees) * Math.PI) / 180;
  const shape = Math.max(frame.width / frame.height, frame.height / frame.width);
  return Math.cos(angle) + shape * Math.sin(angle);
}

/**
 * The pixels that a rendition has at full size: no more than there are in the photograph.
 * @param {Size} photo
 * @param {Recipe} recipe
 * @param {number} [longest] of its sides, if it is to be smaller
 * @returns {Size}
 */
export function outputSize(photo, recipe, longest = Infinity) {
  const frame = turned(photo, recipe);
  const scale = enlargement(frame, recipe.straighten);
  const width = (recipe.crop[2] * frame.width) / scale;
  const height = (recipe.crop[3] * frame.height) / scale;
  const less = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * less)), height: Math.max(1, Math.round(height * less)) };
}

/**
 * Where in the photograph a point of the rendition lies; both in parts of their size, from the upper left corner.
 * @param {Size} photo
 * @param {Recipe} recipe
 * @returns {Affine}
 */
export function placement(photo, recipe) {
  const frame = turned(photo, recipe);
  const { width, height } = frame;
  const [left, top, across, down] = recipe.crop;
  const scale = enlargement(frame, recipe.straighten);
  const angle = (recipe.straighten * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  /** @type {Affine} */
  const cropped = [across, 0, 0, down, left, top];
  // About the middle, in pixels, back by the angle: what is turned clockwise is looked up counterclockwise.
  /** @type {Affine} */
  const straightened = after(
    [1 / width, 0, 0, 1 / height, 0.5, 0.5],
    after([cos, -sin, sin, cos, 0, 0], [width, 0, 0, height, -width / 2, -height / 2]),
  );
  /** @type {Affine} */
  const mirrored = recipe.flip ? [-1, 0, 0, 1, 1, 0] : [1, 0, 0, 1, 0, 0];
  return after(QUARTERS[recipe.turn], after(mirrored, after(straightened, cropped)));
}

/** @type {readonly [Affine, Affine, Affine, Affine]} from a turned photograph back to the upright one */
const QUARTERS = [
  [1, 0, 0, 1, 0, 0],
  [0, -1, 1, 0, 0, 1],
  [-1, 0, 0, -1, 1, 1],
  [0, 1, -1, 0, 1, 0],
];

/** What `second` does to what `first` has done. @param {Affine} second @param {Affine} first @returns {Affine} */
export function after(second, first) {
  const [a, b, c, d, e, f] = second;
  const [g, h, i, j, k, l] = first;
  return [a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * l + e, b * k + d * l + f];
}

/** @param {Affine} matrix @returns {Affine} */
export function inverse([a, b, c, d, e, f]) {
  const area = a * d - b * c;
  return [d / area, -b / area, -c / area, a / area, (c * f - d * e) / area, (b * e - a * f) / area];
}

/* --------------------------------------------------------------------------------------------- changing the geometry */

/** A quarter clockwise, as one sees it. @param {Recipe} recipe @param {Size} photo @returns {Recipe} */
export function rotated(recipe, photo) {
  const [x, y, width, height] = recipe.crop;
  const turn = /** @type {Recipe["turn"]} */ ((recipe.turn + (recipe.flip ? 3 : 1)) % 4);
  return shaped({ ...recipe, turn, crop: [tidy(1 - y - height), x, height, width] }, photo, recipe.aspect);
}

/** Left and right exchanged, as one sees it. @param {Recipe} recipe @returns {Recipe} */
export function mirrored(recipe) {
  const [x, y, width, height] = recipe.crop;
  return {
    ...recipe,
    flip: !recipe.flip,
    straighten: -recipe.straighten || 0,
    crop: [tidy(1 - x - width), y, width, height],
  };
}

/** Top and bottom exchanged: mirrored, and half a turn. @param {Recipe} recipe @returns {Recipe} */
export function upended(recipe) {
  const [x, y, width, height] = recipe.crop;
  const turn = /** @type {Recipe["turn"]} */ ((recipe.turn + 2) % 4);
  return {
    ...recipe,
    flip: !recipe.flip,
    turn,
    straighten: -recipe.straighten || 0,
    crop: [x, tidy(1 - y - height), width, height],
  };
}

/**
 * Held to a shape: the largest crop of this shape about the middle of the present one, and no larger than it where that
 * can be.
 * @param {Recipe} recipe
 * @param {Size} photo
 * @param {Aspect} aspect
 * @returns {Recipe}
 */
export function shaped(recipe, photo, aspect) {
  if (aspect === "free") return { ...recipe, aspect };
  const shape = boxShape(recipe, photo, aspect);
  const [x, y, width, height] = recipe.crop;
  const across = clamp(Math.min(width, height * shape), SMALLEST * Math.max(1, shape), Math.min(1, shape));
  const down = across / shape;
  return {
    ...recipe,
    aspect,
    crop: inside([x + (width - across) / 2, y + (height - down) / 2, across, down]),
  };
}

/** Width by height of a crop in parts of the frame. @param {Recipe} recipe @param {Size} photo @param {Exclude<Aspect, "free">} aspect */
function boxShape(recipe, photo, aspect) {
  const frame = turned(photo, recipe);
  return (ASPECTS[aspect] * frame.height) / frame.width;
}

/** @typedef {"n" | "e" | "s" | "w" | "ne" | "se" | "sw" | "nw" | "all"} Handle */

/**
 * The crop after a handle was moved; `all` moves it as a whole.
 * @param {Recipe} recipe
 * @param {Size} photo
 * @param {Handle} handle
 * @param {number} dx in parts of the frame
 * @param {number} dy
 * @returns {Recipe}
 */
export function dragged(recipe, photo, handle, dx, dy) {
  const [x, y, width, height] = recipe.crop;
  if (handle === "all") return { ...recipe, crop: inside([x + dx, y + dy, width, height]) };
  const [west, east] = [handle.includes("w"), handle.includes("e")];
  const [north, south] = [handle.includes("n"), handle.includes("s")];
  let left = west ? clamp(x + dx, 0, x + width - SMALLEST) : x;
  let right = east ? clamp(x + width + dx, x + SMALLEST, 1) : x + width;
  let top = north ? clamp(y + dy, 0, y + height - SMALLEST) : y;
  let bottom = south ? clamp(y + height + dy, y + SMALLEST, 1) : y + height;
  if (recipe.aspect !== "free") {
    const shape = boxShape(recipe, photo, recipe.aspect);
    // A side that is not moved stays where it is; of an edge's neighbours the middle does.
    const sides = { west, east, north, south };
    [left, top, right, bottom] = held([left, top, right, bottom], recipe.crop, shape, sides);
  }
  return { ...recipe, crop: inside([left, top, right - left, bottom - top]) };
}

/**
 * @param {[number, number, number, number]} sides
 * @param {Box} before
 * @param {number} shape
 * @param {{west: boolean, east: boolean, north: boolean, south: boolean}} moved
 * @returns {[number, number, number, number]} left, top, right and bottom
 */
function held([left, top, right, bottom], [x, y, width, height], shape, { west, east, north, south }) {
  const [corner, level] = [(west || east) && (north || south), west || east];
  const [levelly, upright] = [right - left, (bottom - top) * shape];
  // A corner follows whichever way it was moved further.
  const further = Math.abs(levelly - width) >= Math.abs(upright - height * shape);
  const wanted = (corner ? further : level) ? levelly : upright;
  const room = {
    across: west ? x + width : east ? 1 - x : 2 * Math.min(x + width / 2, 1 - x - width / 2),
    down: north ? y + height : south ? 1 - y : 2 * Math.min(y + height / 2, 1 - y - height / 2),
  };
  const across = clamp(wanted, SMALLEST * Math.max(1, shape), Math.min(room.across, room.down * shape));
  const down = across / shape;
  const from = west ? x + width - across : east ? x : x + (width - across) / 2;
  const upper = north ? y + height - down : south ? y : y + (height - down) / 2;
  return [from, upper, from + across, upper + down];
}

/** A box of a size that can be, moved into the frame. @param {Box} box @returns {Box} */
function inside([x, y, width, height]) {
  const [across, down] = [tidy(clamp(width, SMALLEST, 1)), tidy(clamp(height, SMALLEST, 1))];
  return [tidy(clamp(x, 0, 1 - across)), tidy(clamp(y, 0, 1 - down)), across, down];
}

/** @param {number} value @param {number} low @param {number} high */
function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

/** Five decimals: a fifth of a pixel of a photograph 20,000 pixels wide. @param {number} value */
function tidy(value) {
  return Math.round(value * 1e5) / 1e5;
}
