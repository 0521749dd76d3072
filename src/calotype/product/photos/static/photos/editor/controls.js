/*
 * What one edits with: three panels, which say what they want changed and show what is.
 */

// @ts-check

import { gettext } from "../../web/words.js";
import { choice, element, iconButton, slider, tabs } from "./elements.js";
import { FILTER_WORDS } from "./filter_words.js";
import { FILTERS } from "./filters.js";
import { mirrored, PLAIN, RANGES, rotated, shaped, upended } from "./recipe.js";
import { render } from "./render_2d.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./recipe.js").Aspect} Aspect */
/** @typedef {{get: () => Recipe, moved: (recipe: Recipe) => void, rested: () => void}} State */

/** Pixels of a filter's picture, each way: those of 64 px on a fine screen. */
const SAMPLE = 128;

/**
 * @param {ImageBitmap} photo
 * @param {PredefinedColorSpace} colorSpace
 * @param {State} state
 * @param {(cropping: boolean) => void} opened which panel
 */
export function controls(photo, colorSpace, state, opened) {
  const parts = [cropping(photo, state), lighting(state), filtering(photo, colorSpace, state)];
  const { list, open } = tabs(gettext("Tools"), parts, (at) => opened(at === 0));
  return {
    element: element("div", { class: "editor-tools" }, list, ...parts.map((part) => part.panel)),
    open,
    /** @param {Recipe} recipe */
    show: (recipe) => parts.forEach((part) => part.show(recipe)),
  };
}

/** @param {State} state @param {(recipe: Recipe) => Recipe} change */
function once(state, change) {
  return () => (state.moved(change(state.get())), state.rested());
}

/** @param {State} state @param {keyof typeof RANGES} name @param {string} label @param {{step?: number, unit?: string}} [options] */
function field(state, name, label, options) {
  const moved = (/** @type {number} */ value) => state.moved({ ...state.get(), [name]: value });
  return slider(label, RANGES[name], { ...options, moved, rested: state.rested });
}

/** @param {ImageBitmap} photo @param {State} state */
function cropping(photo, state) {
  const shape = choice(
    gettext("Shape of the crop"),
    [
      { value: "free", label: gettext("Free") },
      { value: "1:1", label: "1:1" },
      { value: "4:5", label: "4:5" },
      { value: "16:9", label: "16:9" },
    ],
    "pills",
    (value) => once(state, (recipe) => shaped(recipe, photo, /** @type {Aspect} */ (value)))(),
  );
  const straighten = field(state, "straighten", gettext("Straighten"), { step: 0.5, unit: "°" });
  const turns = element(
    "div",
    { class: "turns" },
    iconButton("rotate-cw", gettext("Rotate"), once(state, (recipe) => rotated(recipe, photo)), "button"),
    iconButton("flip-horizontal", gettext("Mirror"), once(state, mirrored), "button"),
    iconButton("flip-vertical", gettext("Flip over"), once(state, upended), "button"),
  );
  return {
    label: gettext("Crop"),
    icon: "crop",
    panel: element("div", { class: "panel" }, shape.row, turns, straighten.row),
    /** @param {Recipe} recipe */
    show(recipe) {
      shape.set(recipe.aspect);
      straighten.set(recipe.straighten);
    },
  };
}

/** @param {State} state */
function lighting(state) {
  const fields = /** @type {const} */ ([
    ["exposure", gettext("Exposure")],
    ["contrast", gettext("Contrast")],
    ["warmth", gettext("Warmth")],
    ["saturation", gettext("Saturation")],
    ["vignette", gettext("Vignette")],
  ]).map(([name, label]) => ({ name, made: field(state, name, label) }));
  return {
    label: gettext("Light"),
    icon: "sliders-horizontal",
    panel: element("div", { class: "panel" }, ...fields.map(({ made }) => made.row)),
    /** @param {Recipe} recipe */
    show: (recipe) => fields.forEach(({ name, made }) => made.set(recipe[name])),
  };
}

/** @param {ImageBitmap} photo @param {PredefinedColorSpace} colorSpace @param {State} state */
function filtering(photo, colorSpace, state) {
  const samples = ["", ...FILTERS.map((filter) => filter.id)].map((filter) => ({ filter, canvas: sample() }));
  const names = [gettext("None"), ...FILTERS.map((filter) => FILTER_WORDS[filter.id].name)];
  const filter = choice(
    gettext("Filter"),
    samples.map(({ filter: value, canvas }, at) => ({
      value,
      label: element("span", { class: "filter" }, canvas, element("span", {}, names[at])),
    })),
    "filters",
    (value) => once(state, (recipe) => ({ ...recipe, filter: value }))(),
  );
  const strength = field(state, "strength", gettext("Strength"), { unit: "%" });
  const does = element("p", { "aria-live": "polite" });
  const chosen = element("div", { class: "filter-chosen" }, does, strength.row);
  paint(samples, photo, colorSpace);
  return {
    label: gettext("Filters"),
    icon: "aperture",
    panel: element("div", { class: "panel" }, filter.row, chosen),
    /** @param {Recipe} recipe */
    show(recipe) {
      filter.set(recipe.filter);
      strength.set(recipe.strength);
      chosen.hidden = !recipe.filter;
      const words = FILTER_WORDS[recipe.filter]?.does ?? "";
      if (does.textContent !== words) does.textContent = words;
    },
  };
}

function sample() {
  return Object.assign(element("canvas", { "aria-hidden": "true" }), { width: SAMPLE, height: SAMPLE });
}

/**
 * The middle of the photograph by each filter, when the page has nothing else to do.
 * @param {{filter: string, canvas: HTMLCanvasElement}[]} samples
 * @param {ImageBitmap} photo
 * @param {PredefinedColorSpace} colorSpace
 */
async function paint(samples, photo, colorSpace) {
  const side = Math.min(photo.width, photo.height);
  const small = await createImageBitmap(photo, (photo.width - side) >> 1, (photo.height - side) >> 1, side, side, {
    resizeWidth: SAMPLE,
    resizeHeight: SAMPLE,
    resizeQuality: "high",
  });
  for (const { filter, canvas } of samples) {
    render(canvas, small, { ...PLAIN, filter }, colorSpace);
    await new Promise((resolve) => setTimeout(resolve));
  }
  small.close();
}
