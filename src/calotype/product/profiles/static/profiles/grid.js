/*
 * A list that goes on and on while it is scrolled, and of which only what is near the window is in the page.
 *
 * It takes any list (`data-window`) whose rows are of equal height: where each lies is arithmetic, and padding stands in
 * for what is not there. Pages come as fragments, from where the one before ended (`data-older`). Of those that are far
 * away only the place and the number of cells is kept; they are asked for again when one comes back. Coming back to the
 * page, or loading it anew, leads to where one was.
 *
 * With `data-roving` the list is one stop of the keyboard, and arrows move within it.
 */

// @ts-check

import { fragment, Refused } from "../web/request.js";
import { gettext } from "../web/words.js";
import { keep, kept } from "./places.js";
import { placeIn, rowsNear, step } from "./rows.js";

/**
 * @typedef {object} Page
 * @property {string} at where it starts: a cursor, or "" for the start of the list
 * @property {number} count of its cells
 * @property {HTMLElement[] | null} cells null when they would have to be asked for
 * @property {number} [limit] so many of it belong here: the next page has the others
 * @property {Promise<void> | undefined} [coming]
 */
/**
 * @typedef {object} Place
 * @property {[string, number, number?][]} pages
 * @property {string} older
 * @property {string} head address of the first cell
 * @property {number} index of the first cell in the window
 * @property {string} address of that cell
 * @property {number} top its distance from the window's top
 * @property {number} focused index of the cell that has the focus, or -1
 */

const PAGES_KEPT = 12;
const HEIGHTS_AHEAD = 2;
const PAGES_SEARCHED = 10;
const AGAIN_MS = 3_000;

for (const list of document.querySelectorAll("[data-window]")) {
  if (list instanceof HTMLElement && list.children.length) windowed(list);
}

/** @param {HTMLElement} list */
function windowed(list) {
  const roving = "roving" in list.dataset;
  const own = new URLSearchParams(location.search).get("before") ?? "";
  const cells = cellsOf(list);
  /** @type {Page[]} */
  const pages = [{ at: own, count: cells.length, cells }];
  const addresses = new Set(cells.map(address));
  let older = list.dataset["older"] ?? "";
  let columns = 1;
  let pitch = 1;
  let current = 0;
  let drawn = { index: 0, top: 0 };
  let failed = false;
  let asked = false;
  /** @type {Promise<void> | undefined} */
  let coming;

  const next = document.querySelector('.pager a[rel="next"]');
  if (next instanceof HTMLElement) next.hidden = true;
  list.style.position = "relative";
  list.style.setProperty("overflow-anchor", "none");

  const total = () => pages.reduce((sum, page) => sum + page.count, 0);
  const rows = () => Math.ceil(total() / columns);

  function measure() {
    const cell = [...list.children].find((each) => each instanceof HTMLElement && !each.style.position);
    if (!cell) return;
    const style = getComputedStyle(list);
    columns = style.gridTemplateColumns.split(" ").length;
    pitch = cell.getBoundingClientRect().height + (parseFloat(style.rowGap) || 0) || 1;
  }

  /** Put what is near the window into the page, and take out the rest. */
  function draw() {
    const top = list.getBoundingClientRect().top;
    const near = rowsNear(top, pitch, rows(), innerHeight);
    const begin = near.first * columns;
    const end = Math.min(total(), near.last * columns);
    const held = holding();
    const wanted = new Set();
    for (let index = begin; index < end; index++) wanted.add(cellAt(index));
    for (const child of [...list.children]) if (!wanted.has(child) && child !== held) child.remove();
    list.style.paddingBlockStart = `${near.first * pitch}px`;
    list.style.paddingBlockEnd = `${(rows() - near.last) * pitch}px`;
    place(wanted);
    if (held) pin(held, wanted.has(held));
    const seen = Math.min(Math.max(0, Math.floor(-top / pitch)), rows() - 1);
    drawn = { index: seen * columns, top: top + seen * pitch };
    if (roving) stops(drawn.index);
    forget(begin, end);
    if (list.getBoundingClientRect().bottom < innerHeight * (1 + HEIGHTS_AHEAD)) void more();
  }

  /** What is there already stays where it is, so that nothing loses the focus. @param {Set<HTMLElement>} wanted */
  function place(wanted) {
    let before = list.firstElementChild;
    for (const cell of wanted) {
      if (cell === before) before = before.nextElementSibling;
      else if (cell.parentElement !== list) list.insertBefore(cell, before);
    }
  }

  /**
   * The cell that has the focus stays in the page, out of the flow while it is far from the window.
   * @param {HTMLElement} cell
   * @param {boolean} near
   */
  function pin(cell, near) {
    const row = Math.floor(indexOf(cell) / columns);
    Object.assign(cell.style, {
      position: near ? "" : "absolute",
      insetBlockStart: near ? "" : `${row * pitch}px`,
      inlineSize: near ? "" : `${100 / columns}%`,
    });
  }

  function holding() {
    const cell = document.activeElement?.closest("li");
    return cell instanceof HTMLElement && cell.parentElement === list ? cell : null;
  }

  /** @param {number} index @returns {HTMLElement} the cell, or an empty one until it has come */
  function cellAt(index) {
    const { page, at } = placeIn(pages, index);
    const found = pages[page];
    const cell = found?.cells?.[at] ?? ghost(index);
    if (found && !found.cells) void bring(found);
    cell.setAttribute("aria-posinset", String(index + 1));
    cell.setAttribute("aria-setsize", older ? "-1" : String(total()));
    return cell;
  }

  /** @param {number} index */
  function ghost(index) {
    const there = list.querySelector(`:scope > .ghost[aria-posinset="${index + 1}"]`);
    if (there instanceof HTMLElement) return there;
    const made = document.createElement("li");
    made.className = "ghost";
    made.style.blockSize = `${pitch - (parseFloat(getComputedStyle(list).rowGap) || 0)}px`;
    return made;
  }

  /** Ask for the cells of a page again. @param {Page} page @returns {Promise<void>} */
  function bring(page) {
    page.coming ??= part(page.at)
      .then(({ found }) => {
        page.cells = found.slice(0, page.limit);
        page.count = page.cells.length;
        page.coming = undefined;
        draw();
      })
      .catch(() => {
        setTimeout(() => ((page.coming = undefined), draw()), AGAIN_MS);
      });
    return page.coming;
  }

  /** @param {string} at */
  async function part(at) {
    const query = new URLSearchParams(at ? { before: at } : {});
    const content = await fragment(`${location.pathname}?${query}`);
    const came = content.querySelector("[data-window]");
    if (!(came instanceof HTMLElement)) throw new Refused(0, "failed", "");
    const found = cellsOf(came);
    return { found: found.map((cell) => document.adoptNode(cell)), older: came.dataset["older"] ?? "" };
  }

  /** The next page. @returns {Promise<void>} */
  function more() {
    if (!older || failed) return Promise.resolve();
    coming ??= (async () => {
      list.setAttribute("aria-busy", "true");
      try {
        const came = await part(older);
        const fresh = came.found.filter((cell) => !addresses.has(address(cell)));
        for (const cell of fresh) addresses.add(address(cell));
        pages.push({ at: older, count: fresh.length, cells: fresh });
        older = came.older;
        history.scrollRestoration = "manual";
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        failed = true;
        offerAgain(list, () => ((failed = false), draw()));
      } finally {
        coming = undefined;
        list.removeAttribute("aria-busy");
      }
      draw();
    })();
    return coming;
  }

  /** Let go of the cells of pages that are far away. @param {number} begin @param {number} end */
  function forget(begin, end) {
    const first = placeIn(pages, begin).page;
    const last = placeIn(pages, Math.max(begin, end - 1)).page;
    const held = holding();
    const full = pages.map((_, page) => page).filter((page) => pages[page]?.cells);
    const away = (/** @type {number} */ page) => Math.max(first - page, page - last, 0);
    for (const page of full.sort((a, b) => away(a) - away(b)).slice(PAGES_KEPT)) {
      const found = pages[page];
      if (found && away(page) && !(held && found.cells?.includes(held))) found.cells = null;
    }
  }

  /** One stop for the keyboard: where one was, or what is first in the window. @param {number} seen */
  function stops(seen) {
    const there = placeIn(pages, current);
    const stop = pages[there.page]?.cells?.[there.at]?.parentElement === list ? current : seen;
    for (const cell of list.children) {
      const link = cell.querySelector("a");
      if (link) link.tabIndex = indexOf(cell) === stop ? 0 : -1;
    }
  }

  /** @param {number} index */
  async function go(index) {
    while (index >= total() && older && !failed) await more();
    const to = Math.min(index, total() - 1);
    const row = Math.floor(to / columns);
    const top = list.getBoundingClientRect().top + row * pitch;
    if (top < 0 || top + pitch > innerHeight) scrollBy({ top: top - (innerHeight - pitch) / 2, behavior: "instant" });
    await focusOn(to);
  }

  /** @param {number} index */
  async function focusOn(index) {
    const { page } = placeIn(pages, index);
    const found = pages[page];
    if (found && !found.cells) await bring(found);
    current = index;
    draw();
    cellAt(index).querySelector("a")?.focus({ preventScroll: true });
  }

  function remember() {
    const cell = cellAt(drawn.index);
    const held = holding();
    /** @type {Place} */
    const now = {
      pages: pages.map((page) => (page.limit ? [page.at, page.count, page.limit] : [page.at, page.count])),
      older,
      head: pages[0]?.cells?.[0] ? address(pages[0].cells[0]) : headed,
      index: drawn.index,
      address: address(cell),
      top: list.getBoundingClientRect().top + Math.floor(drawn.index / columns) * pitch,
      focused: held ? indexOf(held) : -1,
    };
    keep(now);
  }

  /** @param {Place} was */
  async function restore(was) {
    history.scrollRestoration = "manual";
    const shift = adopt(was);
    if (shift === null) return search(was);
    const index = was.index + shift;
    scrollTo({ top: scrollY + list.getBoundingClientRect().top + Math.floor(index / columns) * pitch - was.top, behavior: "instant" });
    draw();
    if (was.focused >= 0 && document.activeElement === document.body) await focusOn(was.focused + shift);
  }

  /**
   * Take over the pages that were there, whose cells come when they are seen.
   * @param {Place} was
   * @returns {number | null} by how many cells everything lies further down; null when the start of the list is another one
   */
  function adopt(was) {
    const [head, ...rest] = was.pages;
    const first = pages[0];
    if (!head || !first?.cells || head[0] !== own) return null;
    const others = rest.map(([at, count, limit]) => ({ at, count, cells: null, ...(limit ? { limit } : {}) }));
    const shift = first.cells.findIndex((cell) => address(cell) === was.head);
    if (!rest.length) return shift < 0 ? null : shift;
    const same = rest[0]?.[0] === older && head[1] === first.count;
    if (!same && (shift < 1 || head[1] !== first.count)) return null;
    // New ones have come: what they pushed off the first page is the beginning of the next.
    if (!same) pages.push({ at: older, count: shift, limit: shift, cells: null });
    pages.push(...others);
    older = was.older;
    // The padding has to be there before one can scroll to where one was.
    list.style.paddingBlockEnd = `${(rows() - Math.ceil(first.count / columns)) * pitch}px`;
    return same ? 0 : shift;
  }

  /** Look for the cell that was first in the window, page after page. @param {Place} was */
  async function search(was) {
    for (let tries = 0; tries < PAGES_SEARCHED && older && !addresses.has(was.address); tries++) await more();
    let begin = 0;
    for (const page of pages) {
      const at = page.cells?.findIndex((cell) => address(cell) === was.address) ?? -1;
      if (at >= 0) {
        const row = Math.floor((begin + at) / columns);
        scrollTo({ top: scrollY + list.getBoundingClientRect().top + row * pitch - was.top, behavior: "instant" });
        return draw();
      }
      begin += page.count;
    }
  }

  const headed = cells[0] ? address(cells[0]) : "";
  measure();
  const was = /** @type {Place | null} */ (kept());
  if (was && Array.isArray(was.pages)) void restore(was);
  else draw();

  const soon = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => ((asked = false), draw()));
  };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("pagehide", remember);
  addEventListener("online", () => ((failed = false), soon()));
  let width = list.clientWidth;
  new ResizeObserver(() => {
    if (list.clientWidth === width) return;
    width = list.clientWidth;
    const { index, top } = drawn;
    measure();
    // What was first in the window stays so, unless the list begins below it.
    if (index > 0) scrollBy({ top: list.getBoundingClientRect().top + Math.floor(index / columns) * pitch - top, behavior: "instant" });
    draw();
  }).observe(list);

  if (!roving) return;
  list.addEventListener("focusin", (event) => {
    const cell = event.target instanceof Element ? event.target.closest("li") : null;
    if (!cell || cell.parentElement !== list) return;
    current = indexOf(cell);
    stops(current);
  });
  list.addEventListener("keydown", (event) => {
    const cell = event.target instanceof Element ? event.target.closest("li") : null;
    const ends = event.key === "Home" || event.key === "End";
    if (!cell || event.altKey || event.metaKey || event.shiftKey || (event.ctrlKey && !ends)) return;
    const to = step(event.key, indexOf(cell), columns, {
      total: total(),
      rtl: getComputedStyle(list).direction === "rtl",
      whole: event.ctrlKey,
      rowsOfPage: Math.max(1, Math.floor(innerHeight / pitch) - 1),
    });
    if (to === null) return;
    event.preventDefault();
    void go(to);
  });
}

/** @param {HTMLElement} list */
function cellsOf(list) {
  return /** @type {HTMLElement[]} */ ([...list.children].filter((each) => each instanceof HTMLElement));
}

/** @param {Element} cell */
function address(cell) {
  return cell.querySelector("a")?.getAttribute("href") ?? "";
}

/** @param {Element} cell */
function indexOf(cell) {
  return Number(cell.getAttribute("aria-posinset")) - 1;
}

/**
 * @param {HTMLElement} list
 * @param {() => void} again
 */
function offerAgain(list, again) {
  const line = document.createElement("p");
  line.className = "trouble";
  line.setAttribute("role", "alert");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = gettext("Try again");
  button.addEventListener("click", () => (line.remove(), again()));
  line.append(gettext("The next ones did not come."), button);
  list.after(line);
}
