/*
 * The flame graph by keyboard and pointer. Boxes lie in the page as the server drew them; zooming only moves and stretches
 * them. One box is in the tab order at a time, as in any tree.
 */

// @ts-check

const graph = /** @type {SVGSVGElement | null} */ (document.querySelector("[data-flame]"));
if (graph) explore(graph);

/** @param {SVGSVGElement} graph */
function explore(graph) {
  const boxes = /** @type {SVGSVGElement[]} */ ([...graph.children]);
  const controls = /** @type {HTMLElement} */ (document.querySelector("[data-flame-controls]"));
  const out = /** @type {HTMLButtonElement} */ (document.querySelector("[data-flame-out]"));
  const search = /** @type {HTMLInputElement} */ (document.querySelector("#flame-search"));
  const said = /** @type {HTMLElement} */ (document.querySelector("[data-flame-said]"));
  const parents = boxes.map((box) => Number(box.dataset.parent));
  const lefts = boxes.map((box) => Number(box.dataset.left));
  const widths = boxes.map((box) => Number(box.dataset.width));
  let current = 0;
  let zoomed = 0;
  controls.hidden = false;

  /** @param {number} number @param {number} by */
  function sibling(number, by) {
    const level = boxes.map((_, each) => each).filter((each) => parents[each] === parents[number] && isShown(each));
    return level[level.indexOf(number) + by] ?? number;
  }

  /** @param {number} number */
  const isShown = (number) => boxes[number].getAttribute("display") !== "none";

  /** @param {number} number */
  const child = (number) => parents.findIndex((parent, each) => parent === number && isShown(each));

  /** @param {number} number */
  function focus(number) {
    if (number < 0) return;
    boxes[current].setAttribute("tabindex", "-1");
    current = number;
    boxes[current].setAttribute("tabindex", "0");
    boxes[current].focus();
    boxes[current].scrollIntoView({ block: "nearest" });
  }

  /** @param {number} number @param {number} inside */
  function isInside(number, inside) {
    while (number > inside) number = parents[number];
    return number === inside;
  }

  /** The box becomes as wide as the graph; those above it too, and others go. @param {number} number */
  function zoom(number) {
    zoomed = number;
    const [left, width] = [lefts[number], widths[number]];
    boxes.forEach((box, each) => {
      const below = isInside(each, number);
      const above = isInside(number, each);
      if (below || above) {
        box.removeAttribute("display");
        box.setAttribute("x", `${above ? 0 : (100 * (lefts[each] - left)) / width}%`);
        box.setAttribute("width", `${above ? 100 : (100 * widths[each]) / width}%`);
      } else {
        box.setAttribute("display", "none");
      }
    });
    out.disabled = number === 0;
    said.textContent = number ? `Looking at ${boxes[number].dataset.name}.` : "The whole request.";
  }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    const found = boxes.filter((box) => {
      const fits = wanted !== "" && (box.dataset.name ?? "").toLowerCase().includes(wanted);
      box.classList.toggle("found", fits);
      return fits;
    });
    graph.classList.toggle("searching", wanted !== "");
    said.textContent = wanted ? `${found.length} boxes fit.` : "\u00a0";
    return found;
  }

  graph.addEventListener("keydown", (event) => {
    const moves = {
      ArrowUp: () => focus(parents[current]),
      ArrowDown: () => focus(child(current)),
      ArrowLeft: () => focus(sibling(current, -1)),
      ArrowRight: () => focus(sibling(current, 1)),
      Home: () => focus(zoomed),
      Enter: () => zoom(current),
      " ": () => zoom(current),
      Escape: () => zoom(Math.max(parents[zoomed], 0)),
    };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (move && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      move();
    }
  });
  graph.addEventListener("click", (event) => {
    const box = /** @type {Element} */ (event.target).closest(".box");
    const number = boxes.indexOf(/** @type {SVGSVGElement} */ (box));
    if (number < 0) return;
    zoom(number === zoomed ? Math.max(parents[number], 0) : number);
    focus(number);
  });
  out.addEventListener("click", () => {
    zoom(0);
    focus(0);
  });
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const found = find().map((box) => boxes.indexOf(box));
    focus(found.find((number) => number > current) ?? found[0] ?? current);
  });
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.key === "/" && !target.closest("input, select, textarea")) {
      event.preventDefault();
      search.focus();
    }
  });
}
