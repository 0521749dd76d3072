/*
 * The arithmetic of a list whose rows are of equal height: what of it must be there, and where its pages lie.
 */

// @ts-check

/**
 * Rows that touch the window, or lie less than a window's height away from it.
 * @param {number} top of the list, in pixels from the top of the window
 * @param {number} pitch from one row to the next
 * @param {number} rows of the whole list
 * @param {number} height of the window
 * @returns {{first: number, last: number}} `last` is the row behind the last one
 */
export function rowsNear(top, pitch, rows, height) {
  const first = Math.floor((-top - height) / pitch);
  const last = Math.ceil((-top + 2 * height) / pitch);
  const begin = Math.max(0, Math.min(first, rows - 1));
  return { first: begin, last: Math.max(begin, Math.min(last, rows)) };
}

/**
 * Which page a cell is on, and as which of it.
 * @param {readonly {count: number}[]} pages
 * @param {number} index of a cell in the list
 * @returns {{page: number, at: number}} `page` is -1 behind the end
 */
export function placeIn(pages, index) {
  let begin = 0;
  for (const [page, { count }] of pages.entries()) {
    if (index < begin + count) return { page, at: index - begin };
    begin += count;
  }
  return { page: -1, at: 0 };
}

/**
 * Where an arrow leads in a grid, or null for other keys. It may lie behind the end: there may be more to come.
 * @param {string} key
 * @param {number} index
 * @param {number} columns
 * @param {{total: number, rtl: boolean, whole: boolean, rowsOfPage: number}} grid `whole`: with Ctrl, so to its ends
 * @returns {number | null}
 */
export function step(key, index, columns, { total, rtl, whole, rowsOfPage }) {
  const row = index - (index % columns);
  switch (key) {
    case rtl ? "ArrowLeft" : "ArrowRight":
      return index + 1;
    case rtl ? "ArrowRight" : "ArrowLeft":
      return Math.max(0, index - 1);
    case "ArrowDown":
      return index + columns;
    case "ArrowUp":
      return index < columns ? index : index - columns;
    case "PageDown":
      return index + columns * rowsOfPage;
    case "PageUp":
      return Math.max(index % columns, index - columns * rowsOfPage);
    case "Home":
      return whole ? 0 : row;
    case "End":
      return whole ? total - 1 : Math.min(total - 1, row + columns - 1);
    default:
      return null;
  }
}
