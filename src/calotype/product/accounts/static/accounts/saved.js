/*
 * Whether what a form of the settings says is saved. A form with `data-saved="here"` is sent without leaving the page; one
 * with `data-saved="away"` goes its way, and only says beforehand that something is not saved yet.
 */

// @ts-check

import { ask, Refused, token } from "../web/request.js";
import { gettext } from "../web/words.js";

for (const form of document.querySelectorAll("form[data-saved]")) {
  const state = form.querySelector("[data-saved-state]");
  if (form instanceof HTMLFormElement && state) watch(form, state);
}

/**
 * @param {HTMLFormElement} form
 * @param {Element} state where it is said, politely
 */
function watch(form, state) {
  let saved = written(form);
  form.addEventListener("input", () => {
    const words = written(form) === saved ? "" : gettext("Not saved yet");
    if (state.textContent !== words) state.textContent = words;
    state.classList.remove("failed");
  });
  if (form.dataset["saved"] !== "here") return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = written(form);
    form.setAttribute("aria-busy", "true");
    state.textContent = gettext("Saving…");
    try {
      const body = new URLSearchParams(sent);
      await ask(form.action, { method: "POST", body, headers: { "X-CSRFToken": token() } });
      saved = sent;
      state.textContent = written(form) === saved ? gettext("Saved") : gettext("Not saved yet");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      state.classList.add("failed");
      state.textContent = error.message || gettext("This is not saved. Try again in a moment.");
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
}

/** @param {HTMLFormElement} form @returns {string} what stands in it; of files their names and sizes */
function written(form) {
  const fields = [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");
  const plain = fields.map(([name, value]) => [name, value instanceof File ? `${value.name} ${value.size}` : value]);
  return new URLSearchParams(plain).toString();
}
