/*
 * What fingers, wheel and mouse do to a picture in a stage: zoomed around where they are, moved, swiped on, swiped away.
 */

// @ts-check

const MOST = 8;
const TAPPED = 2.5;
const SWIPE_PX = 60;
const TAP_PX = 10;
const TWO_TAPS_MS = 300;

/** @typedef {{x: number, y: number}} Point */

/**
 * How far a picture may be moved from the middle: until its edge meets that of the stage.
 * @param {number} stage its length
 * @param {number} picture its length, unzoomed
 * @param {number} scale
 */
export function reach(stage, picture, scale) {
  return Math.max(0, (picture * scale - stage) / 2);
}

/**
 * Zoom so that what is under a point stays under it. Lengths from the middle of the stage.
 * @param {{x: number, y: number, scale: number}} view
 * @param {Point} around
 * @param {number} scale
 */
export function zoomed(view, around, scale) {
  const ratio = scale / view.scale;
  return { x: around.x - (around.x - view.x) * ratio, y: around.y - (around.y - view.y) * ratio, scale };
}

/** Holds where the picture is; from it what is drawn follows. */
export class Zoom {
  view = { x: 0, y: 0, scale: 1 };
  shape = 1;
  /** @type {Map<number, Point>} */
  fingers = new Map();
  /** @type {{at: Point, time: number, moved: boolean, several: boolean}} */
  touch = { at: { x: 0, y: 0 }, time: 0, moved: false, several: false };
  /** @type {{at: Point, time: number}} */
  tapped = { at: { x: 0, y: 0 }, time: -TWO_TAPS_MS };

  /**
   * @param {HTMLElement} stage
   * @param {HTMLElement} picture fills the stage; its photograph is contained in it
   * @param {{swiped: (step: number) => void, dismissed: () => void, zoomed: (scale: number) => void}} told `swiped` by 1:
   *     to the left
   */
  constructor(stage, picture, told) {
    this.stage = stage;
    this.picture = picture;
    this.told = told;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.fingers.delete(event.pointerId));
  }

  /** Another picture. @param {number} shape its width by its height */
  reset(shape) {
    this.shape = shape;
    this.fingers.clear();
    this.set({ x: 0, y: 0, scale: 1 });
  }

  /** Around the middle; 0: as it was. @param {number} factor */
  by(factor) {
    this.to(this.view.scale * factor, { x: 0, y: 0 });
  }

  /**
   * @param {number} scale
   * @param {Point} around
   */
  to(scale, around) {
    this.set(zoomed(this.view, around, Math.min(MOST, Math.max(1, scale))));
  }

  /** @param {{x: number, y: number, scale: number}} view */
  set({ x, y, scale }) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const wide = Math.min(width, height * this.shape);
    const [mostX, mostY] = [reach(width, wide, scale), reach(height, wide / this.shape, scale)];
    this.view = { x: clamped(x, mostX), y: clamped(y, mostY), scale };
    this.picture.style.transform = `translate(${this.view.x}px, ${this.view.y}px) scale(${scale})`;
    this.stage.classList.toggle("zoomed", scale > 1);
    this.told.zoomed(scale);
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} from the middle */
  point({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    // A pinch on a touchpad comes as a wheel with Ctrl, in small steps.
    const speed = event.ctrlKey ? 0.01 : 0.002;
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 20 : event.deltaY;
    this.to(this.view.scale * Math.exp(-pixels * speed), this.point(event));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.point(event));
    if (this.fingers.size === 1) {
      this.touch = { at: this.point(event), time: event.timeStamp, moved: false, several: false };
    } else this.touch.several = true;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = this.point(event);
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    if (Math.hypot(now.x - this.touch.at.x, now.y - this.touch.at.y) > TAP_PX) this.touch.moved = true;
    if (other) this.pinch(before, now, other);
    else if (this.view.scale > 1) {
      this.set({ ...this.view, x: this.view.x + now.x - before.x, y: this.view.y + now.y - before.y });
    }
  }

  /** @param {Point} before @param {Point} now @param {Point} other finger */
  pinch(before, now, other) {
    const ratio = Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(before.x - other.x, before.y - other.y) || 1);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    const x = this.view.x + (now.x - before.x) / 2;
    const y = this.view.y + (now.y - before.y) / 2;
    this.view = { ...this.view, x, y };
    this.to(this.view.scale * ratio, middle);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.fingers.delete(event.pointerId) || this.fingers.size || this.touch.several) return;
    const now = this.point(event);
    if (!this.touch.moved) return this.tap(now, event.timeStamp);
    if (this.view.scale > 1) return;
    const [x, y] = [now.x - this.touch.at.x, now.y - this.touch.at.y];
    if (Math.abs(x) > SWIPE_PX && Math.abs(x) > Math.abs(y)) this.told.swiped(x < 0 ? 1 : -1);
    else if (y > SWIPE_PX && event.pointerType === "touch") this.told.dismissed();
  }

  /** @param {Point} at @param {number} time */
  tap(at, time) {
    const second = time - this.tapped.time < TWO_TAPS_MS && Math.hypot(at.x - this.tapped.at.x, at.y - this.tapped.at.y) < 3 * TAP_PX;
    this.tapped = second ? { at, time: -TWO_TAPS_MS } : { at, time };
    if (second) this.to(this.view.scale > 1 ? 1 : TAPPED, at);
  }
}

/** @param {number} value @param {number} most */
function clamped(value, most) {
  return Math.min(most, Math.max(-most, value));
}
