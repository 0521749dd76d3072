/*
 * The preview: a canvas that shows what a recipe makes of a photograph. By WebGL2, or on a 2D canvas where there is none. A
 * context that is lost is waited for, and then done without: the recipe is not in it, so nothing is lost with it.
 */

// @ts-check

import { outputSize } from "./recipe.js";
import { render } from "./render_2d.js";
import { renderer } from "./render_gl.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/** So long a lost context may take to come back before a 2D canvas takes its place. */
const BACK_MS = 1_000;

/**
 * @typedef {object} Stage
 * @property {(recipe: Recipe) => void} show before the next frame; of several only the last
 * @property {() => "gl" | "2d" | "lost"} engine
 * @property {() => void} dispose
 */

/**
 * @param {HTMLElement} frame takes the canvas, and the size that it is shown in
 * @param {ImageBitmap} photo of a preview's size
 * @param {PredefinedColorSpace} colorSpace
 * @returns {Stage}
 */
export function stage(frame, photo, colorSpace) {
  const room = /** @type {HTMLElement} */ (frame.parentElement);
  let canvas = put(frame, null);
  /** @type {import("./render_gl.js").Renderer | null} */
  let gpu = null;
  /** @type {"gl" | "2d" | "lost"} */
  let engine = "2d";
  /** @type {Recipe | undefined} */
  let shown;
  let scheduled = 0;
  let waiting = 0;

  function begin() {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    gpu = gl && renderer(gl, photo, colorSpace);
    if (!gpu) return withoutGpu();
    engine = "gl";
  }

  /** A canvas that has had a WebGL context never gets another kind. */
  function withoutGpu() {
    clearTimeout(waiting);
    gpu = null;
    engine = "2d";
    canvas = put(frame, canvas);
    if (shown) show(shown);
  }

  function draw() {
    scheduled = 0;
    if (!shown || engine === "lost") return;
    fit(shown);
    if (gpu) gpu.render(shown);
    else render(canvas, photo, shown, colorSpace);
  }

  /** As large as there is room, in as many pixels as the screen has there. @param {Recipe} recipe */
  function fit(recipe) {
    const whole = outputSize(photo, recipe);
    const scale = Math.min(room.clientWidth / whole.width, room.clientHeight / whole.height);
    const [width, height] = [whole.width * scale, whole.height * scale];
    frame.style.width = `${Math.max(1, width)}px`;
    frame.style.height = `${Math.max(1, height)}px`;
    const pixels = outputSize(photo, recipe, Math.max(width, height) * devicePixelRatio);
    if (canvas.width !== pixels.width) canvas.width = pixels.width;
    if (canvas.height !== pixels.height) canvas.height = pixels.height;
  }

  /** @param {Recipe} recipe */
  function show(recipe) {
    shown = recipe;
    scheduled ||= requestAnimationFrame(draw);
  }

  const lost = (/** @type {Event} */ event) => {
    event.preventDefault(); // else it would never be restored
    if (event.target !== canvas) return;
    gpu = null;
    engine = "lost";
    waiting = window.setTimeout(withoutGpu, BACK_MS);
  };
  const restored = (/** @type {Event} */ event) => {
    if (event.target !== canvas) return;
    clearTimeout(waiting);
    begin();
    if (shown) show(shown);
  };
  frame.addEventListener("webglcontextlost", lost, true);
  frame.addEventListener("webglcontextrestored", restored, true);
  const resized = new ResizeObserver(() => shown && show(shown));
  resized.observe(room);
  begin();

  return {
    show,
    engine: () => engine,
    dispose() {
      cancelAnimationFrame(scheduled);
      clearTimeout(waiting);
      resized.disconnect();
      frame.removeEventListener("webglcontextlost", lost, true);
      frame.removeEventListener("webglcontextrestored", restored, true);
      gpu?.dispose();
      canvas.remove();
    },
  };
}

/** @param {HTMLElement} frame @param {HTMLCanvasElement | null} before */
function put(frame, before) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  before?.remove();
  frame.prepend(canvas);
  return canvas;
}
