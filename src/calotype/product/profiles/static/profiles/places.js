/*
 * Where somebody was on a page, for when they come back to it by the browser's back and forward, or load it anew.
 *
 * Each entry of the history has a place of its own; they end with the tab.
 */

// @ts-check

const PREFIX = "place:";
const KEPT = 30;

/** @returns {string} the name of this entry of the history */
function entry() {
  const state = /** @type {{place?: string} | null} */ (history.state);
  if (state?.place) return state.place;
  const name = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  history.replaceState({ ...state, place: name }, "");
  return name;
}

/** @returns {unknown} what was kept for this entry, or null */
export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + entry()) ?? "null");
  } catch {
    return null;
  }
}

/** @param {object} place */
export function keep(place) {
  try {
    const mine = PREFIX + entry();
    sessionStorage.setItem(mine, JSON.stringify(place));
    const all = Object.keys(sessionStorage).filter((name) => name.startsWith(PREFIX) && name !== mine);
    for (const name of all.sort().slice(0, Math.max(0, all.length - KEPT))) sessionStorage.removeItem(name);
  } catch {
    // Full or forbidden: then one comes back to the start.
  }
}
