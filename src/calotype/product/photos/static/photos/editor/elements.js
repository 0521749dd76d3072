/*
 * Elements of the dialog, made in one expression.
 */

// @ts-check

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | boolean>} attributes true: is there; false: is not
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** An icon of the site's sprite, which every page draws from. @param {string} name */
export function icon(name) {
  const sprite = document.querySelector("svg.icon use")?.getAttribute("href")?.split("#")[0] ?? "";
  const space = "http://www.w3.org/2000/svg";
  const [drawing, use] = [document.createElementNS(space, "svg"), document.createElementNS(space, "use")];
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${sprite}#${name}`);
  drawing.append(use);
  return drawing;
}

/**
 * A button with an icon and words, or with words for those who hear them only.
 * @param {string} name of the icon
 * @param {string} label
 * @param {() => void} run
 * @param {string} [kind] classes
 */
export function iconButton(name, label, run, kind = "act") {
  const words = kind === "act" ? element("span", { class: "vh" }, label) : label;
  const made = element("button", { type: "button", class: kind }, icon(name), words);
  if (kind === "act") made.title = label;
  made.addEventListener("click", run);
  return made;
}

let numbered = 0;

/**
 * A range with its label and its value.
 * @param {string} label
 * @param {[number, number]} range
 * @param {{step?: number, unit?: string, moved: (value: number) => void, rested: () => void}} options
 */
export function slider(label, [low, high], { step = 1, unit = "", moved, rested }) {
  const id = `editor-range-${++numbered}`;
  const said = element("output", { for: id });
  const input = element("input", { type: "range", id, min: `${low}`, max: `${high}`, step: `${step}` });
  const row = element("div", { class: "range" }, element("label", { for: id }, label), said, input);
  const show = () => {
    const text = (Number(input.value) > 0 && low < 0 ? "+" : "") + input.value.replace("-", "−") + unit;
    said.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => (show(), moved(Number(input.value))));
  input.addEventListener("change", rested);
  return {
    row,
    /** @param {number} value */
    set(value) {
      input.value = `${value}`;
      show();
    },
  };
}

/**
 * One of several, as radio buttons.
 * @param {string} legend
 * @param {{value: string, label: Node | string}[]} choices
 * @param {string} kind class of the whole
 * @param {(value: string) => void} chosen
 */
export function choice(legend, choices, kind, chosen) {
  const name = `editor-choice-${++numbered}`;
  const inputs = choices.map(({ value }) => element("input", { type: "radio", name, value }));
  const labels = choices.map(({ label }, at) => element("label", {}, inputs[at], element("span", {}, label)));
  const set = element("fieldset", { class: kind }, element("legend", { class: "vh" }, legend), ...labels);
  set.addEventListener("change", (event) => chosen(/** @type {HTMLInputElement} */ (event.target).value));
  return {
    row: set,
    /** @param {string} value */
    set(value) {
      for (const input of inputs) input.checked = input.value === value;
    },
  };
}

/**
 * Panels of which one is seen; the arrows go from tab to tab.
 * @param {string} label
 * @param {{label: string, icon: string, panel: HTMLElement}[]} parts
 * @param {(at: number) => void} opened
 */
export function tabs(label, parts, opened) {
  const made = parts.map((part) => {
    const id = `editor-tab-${++numbered}`;
    const tab = element("button", { type: "button", role: "tab", id, "aria-controls": `${id}-panel` }, icon(part.icon), part.label);
    Object.assign(part.panel, { id: `${id}-panel`, role: "tabpanel" });
    part.panel.setAttribute("aria-labelledby", id);
    return tab;
  });
  const list = element("div", { class: "editor-tabs", role: "tablist", "aria-label": label }, ...made);
  /** @param {number} at */
  function open(at) {
    made.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === at));
      tab.tabIndex = other === at ? 0 : -1;
      parts[other].panel.hidden = other !== at;
    });
    opened(at);
  }
  made.forEach((tab, at) => tab.addEventListener("click", () => open(at)));
  list.addEventListener("keydown", (event) => {
    const towards = getComputedStyle(list).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: towards, ArrowLeft: -towards }[event.key];
    const from = made.findIndex((tab) => tab === document.activeElement);
    if (!step || from < 0) return;
    event.preventDefault();
    const to = (from + step + made.length) % made.length;
    open(to);
    made[to].focus();
  });
  return { list, open };
}
