/*
 * Follow and stop following without leaving the page. The button changes at once, wherever the same person has one; what
 * the site refuses is taken back, and says why.
 *
 * Of several touches the last one counts: while a request is on its way only what is wanted changes, and what the site
 * has said by then decides whether another is sent. As for likes, `calotype:sent` tells of each, and `calotype:stands` that
 * this page is older than the last one (web/outbox.js).
 */

// @ts-check

import { Refused, send } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext, ngettext, number } from "../web/words.js";

/** @typedef {{wanted: boolean, known: boolean, busy: boolean}} Wish */
/** @typedef {{following: boolean, followers: number}} Standing */

const EXACT_BELOW = 10_000; // more is shown as 12.3K, which one more or less does not change

/** @type {Map<string, Wish>} */
const wishes = new Map();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  const username = form.dataset["follow"];
  if (!username) return;
  event.preventDefault();
  const following = pressed(form);
  const wish = wishes.get(username) ?? { wanted: following, known: following, busy: false };
  wishes.set(username, wish);
  wish.wanted = !following;
  show(username, wish.wanted);
  if (!wish.busy) void settle(username, form.dataset["name"] ?? username, wish);
});

document.addEventListener("calotype:stands", (event) => {
  const { path } = /** @type {CustomEvent<{path: string}>} */ (event).detail;
  const [, username, un] = /^\/@([^/]+)\/(un)?follow\/$/.exec(path) ?? [];
  if (username && !wishes.has(decodeURIComponent(username))) show(decodeURIComponent(username), !un);
});

/**
 * @param {string} username
 * @param {string} name
 * @param {Wish} wish
 */
async function settle(username, name, wish) {
  wish.busy = true;
  try {
    while (wish.wanted !== wish.known) {
      const path = `/@${encodeURIComponent(username)}/${wish.wanted ? "follow" : "unfollow"}/`;
      const standing = /** @type {Standing} */ (await send(path, {}, { keepalive: true }));
      document.dispatchEvent(new CustomEvent("calotype:sent", { detail: { path } }));
      wish.known = standing.following;
      count(username, standing.followers);
    }
    say(wish.known ? gettext("You follow {name} now.", { name }) : gettext("You do not follow {name} any longer.", { name }));
    document.dispatchEvent(new CustomEvent("calotype:followed", { detail: { username, ...wish } }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show(username, wish.known);
    toast(reason(error, name), { error: true });
  } finally {
    wishes.delete(username);
  }
}

/**
 * @param {Refused} error
 * @param {string} name
 */
function reason(error, name) {
  if (error.status === 401) return gettext("You are logged out. Log in again to follow {name}.", { name });
  if (error.status === 0) return gettext("No connection: nothing has changed for {name}.", { name });
  return error.message || gettext("That did not work. Try again in a moment.");
}

/** @param {HTMLFormElement} form */
function pressed(form) {
  return form.querySelector("button")?.getAttribute("aria-pressed") === "true";
}

/**
 * Every button of a person on this page.
 * @param {string} username
 * @param {boolean} following
 */
function show(username, following) {
  for (const form of document.querySelectorAll(`form[data-follow="${CSS.escape(username)}"]`)) {
    const button = form.querySelector("button");
    if (!(form instanceof HTMLFormElement) || !button) continue;
    const name = form.dataset["name"] ?? username;
    form.action = `/@${encodeURIComponent(username)}/${following ? "unfollow" : "follow"}/`;
    button.classList.toggle("primary", !following);
    button.setAttribute("aria-pressed", String(following));
    button.setAttribute("aria-label", following ? gettext("Following {name}", { name }) : gettext("Follow {name}", { name }));
    button.textContent = following ? gettext("Following") : gettext("Follow");
  }
}

/**
 * @param {string} username
 * @param {number} followers
 */
function count(username, followers) {
  if (followers >= EXACT_BELOW) return;
  for (const place of document.querySelectorAll(`[data-followers="${CSS.escape(username)}"]`)) {
    const [amount, word] = place.children;
    if (!amount || !word) continue;
    amount.textContent = number(followers);
    word.textContent = ngettext("follower", "followers", followers);
  }
}
