/*
 * The frame that one crops with: a box over the preview, with a handle at each corner and side, for pointers and for arrows.
 */

// @ts-check

import { gettext } from "../../web/words.js";
import { element } from "./elements.js";
import { dragged } from "./recipe.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */
/** @typedef {import("./recipe.js").Handle} Handle */
/** @typedef {import("./recipe.js").Size} Size */

/** How far an arrow moves a handle, in parts of the frame; with Shift. */
const STEP = 0.01;
const STRIDE = 0.05;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {HTMLElement} frame that the preview fills
 * @param {Size} photo
 * @param {{get: () => Recipe, moved: (recipe: Recipe) => void, rested: () => void}} state `rested`: a move is over
 */
export function cropBox(frame, photo, { get, moved, rested }) {
  const hint = element("span", { class: "vh", id: "editor-crop-hint" }, gettext("Move it with the arrow keys; with Shift, further."));
  const handles = names().map(([handle, label]) =>
    element("button", {
      type: "button",
      class: `handle ${handle}`,
      "data-handle": handle,
      "aria-label": label,
      "aria-describedby": hint.id,
    }),
  );
  const box = element("div", { class: "crop-box", hidden: true }, ...handles);
  // What is cut off lies in a shadow that ends where the photograph does; the handles may reach beyond.
  const lit = element("div", {});
  const shade = element("div", { class: "crop-shade", hidden: true }, lit);
  frame.append(hint, shade, box);

  for (const handle of handles) {
    const which = /** @type {Handle} */ (handle.dataset["handle"]);
    handle.addEventListener("pointerdown", (event) => drag(event, handle, which));
    handle.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const far = event.shiftKey ? STRIDE : STEP;
      moved(dragged(get(), photo, which, arrow[0] * far, arrow[1] * far));
      rested();
    });
  }

  /** @param {PointerEvent} start @param {HTMLElement} handle @param {Handle} which */
  function drag(start, handle, which) {
    if (start.button !== 0) return;
    const from = get();
    const { width, height } = frame.getBoundingClientRect();
    const over = new AbortController();
    handle.setPointerCapture(start.pointerId);
    /** @param {PointerEvent} event */
    const follow = (event) => {
      moved(dragged(from, photo, which, (event.clientX - start.clientX) / width, (event.clientY - start.clientY) / height));
    };
    const end = () => (over.abort(), rested());
    handle.addEventListener("pointermove", follow, { signal: over.signal });
    handle.addEventListener("pointerup", end, { signal: over.signal });
    handle.addEventListener("pointercancel", end, { signal: over.signal });
  }

  return {
    /** @param {Recipe} recipe @param {boolean} visible */
    show({ crop: [x, y, width, height] }, visible) {
      box.hidden = shade.hidden = !visible;
      for (const { style } of [box, lit]) {
        Object.assign(style, { left: part(x), top: part(y), width: part(width), height: part(height) });
      }
    },
  };
}

/** @param {number} value */
function part(value) {
  return `${value * 100}%`;
}

/** In the order that Tab goes. @returns {[Handle, string][]} */
function names() {
  return [
    ["all", gettext("The whole crop")],
    ["nw", gettext("Upper left corner")],
    ["n", gettext("Upper side")],
    ["ne", gettext("Upper right corner")],
    ["e", gettext("Right side")],
    ["se", gettext("Lower right corner")],
    ["s", gettext("Lower side")],
    ["sw", gettext("Lower left corner")],
    ["w", gettext("Left side")],
  ];
}
