/*
 * The page of notifications while it is open: earlier ones come when its end is near, new ones when one asks for them, and
 * what is read loses its mark, all without loading the page again.
 */

// @ts-check

import { fragment, Refused, send } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext, ngettext } from "../web/words.js";

const NEAR = "600px";
const PATH = "/notifications/";

const list = document.querySelector("[data-happened]");
const news = document.querySelector("[data-news]");
const unread = document.querySelector("[data-unread]");
const earlier = document.querySelector('.pager a[rel="next"]');

/** @param {string} query @returns {Promise<HTMLElement>} the list of another page */
async function part(query) {
  const found = (await fragment(PATH + query)).querySelector("[data-happened]");
  if (!(found instanceof HTMLElement)) throw new Refused(0, "failed", "");
  return document.adoptNode(found);
}

/** @param {unknown} error */
function told(error) {
  if (!(error instanceof Refused)) throw error;
  toast(error.message || gettext("That did not work. Try again in a moment."), { error: true });
}

if (list instanceof HTMLElement && earlier instanceof HTMLAnchorElement) {
  let coming = false;
  /** @param {boolean} asked by a person, who is then led to what has come */
  const more = async (asked) => {
    if (coming) return;
    coming = true;
    try {
      const came = await part(new URL(earlier.href).search);
      const [first] = came.children;
      const amount = came.children.length;
      list.append(...came.children);
      if (amount) say(ngettext("{n} earlier notification", "{n} earlier notifications", amount));
      if (asked && first) link(first)?.focus();
      const older = came.dataset["older"];
      if (older) earlier.search = new URLSearchParams({ before: older }).toString();
      else ended();
    } catch (error) {
      near.disconnect(); // From now on only by the button.
      told(error);
    } finally {
      coming = false;
    }
  };
  const ended = () => (near.disconnect(), earlier.remove());
  const near = new IntersectionObserver(([seen]) => void (seen?.isIntersecting && more(false)), { rootMargin: NEAR });
  near.observe(earlier);
  earlier.addEventListener("click", (event) => (event.preventDefault(), void more(true)));
}

/** @param {Element} note @returns {HTMLElement | null} */
function link(note) {
  return note.querySelector(".said a");
}

/** What names it among the others. @param {Element} note */
function about(note) {
  return note.getAttribute("data-about");
}

/** How many are new is known to live.js; what they are is asked for when somebody wants to see it. */
function offer() {
  const amount = unread instanceof HTMLElement && !unread.hidden ? Number.parseInt(unread.textContent, 10) : 0;
  news?.replaceChildren();
  if (!amount || new URLSearchParams(location.search).has("before")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "pill";
  button.textContent = ngettext("Show {n} new notification", "Show {n} new notifications", amount);
  button.addEventListener("click", () => void refresh());
  news?.append(button);
}

async function refresh() {
  if (!(list instanceof HTMLElement)) return location.reload();
  try {
    const came = await part("");
    // What stands below stays: only the first page is another one, and its end is where the next one began.
    const there = new Set([...came.children].map(about));
    for (const note of [...list.children]) if (there.has(about(note))) note.remove();
    list.prepend(...came.children);
    news?.replaceChildren();
    scrollTo({ top: 0 });
    if (list.firstElementChild) link(list.firstElementChild)?.focus();
  } catch (error) {
    told(error);
  }
}

if (unread) new MutationObserver(offer).observe(unread, { childList: true, attributes: true });

const form = document.querySelector("form[data-read]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!(form instanceof HTMLFormElement)) return;
  try {
    await send(form.action, { up_to: String(new FormData(form).get("up_to")) });
    for (const note of document.querySelectorAll(".event.unread")) {
      note.classList.remove("unread");
      note.querySelector(".said .vh")?.remove();
    }
    document.querySelector("h1")?.focus();
    form.remove();
    say(gettext("All notifications are read."));
  } catch (error) {
    told(error);
  }
});
