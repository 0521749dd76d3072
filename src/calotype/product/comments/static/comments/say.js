/*
 * Comments without leaving the page: shown at once, replaced by what the site made of them, taken back into the field when
 * they could not be sent. A key makes a comment that is sent twice count once. Deleting works alike.
 */

// @ts-check

import { newKey, Refused, send } from "../web/request.js";
import { say, toast } from "../web/say.js";
import { gettext } from "../web/words.js";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  if (form.dataset["say"] !== undefined) {
    event.preventDefault();
    void add(form);
  } else if (form.dataset["deleteComment"] !== undefined) {
    event.preventDefault();
    void remove(form);
  }
});

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !(field instanceof HTMLTextAreaElement)) return;
  if (field.form?.dataset["say"] !== undefined) field.form.requestSubmit();
});

/** @param {HTMLFormElement} form */
async function add(form) {
  const field = /** @type {HTMLInputElement | HTMLTextAreaElement} */ (form.elements.namedItem("text"));
  const text = field.value.trim();
  if (!text) return;
  const key = keyFor(form, text);
  const shown = place(form, text);
  field.value = "";
  try {
    const fields = { text, in: form.dataset["in"] ?? "" };
    const { html } = /** @type {{html: string}} */ (await send(form.action, fields, { key }));
    const template = document.createElement("template");
    template.innerHTML = html;
    shown.replaceWith(...template.content.children);
    form.dataset["sent"] = "";
    say(gettext("Your comment is posted."));
  } catch (error) {
    shown.remove();
    tidy(form);
    // What was typed meanwhile stays too.
    field.value = field.value ? `${text} ${field.value}` : text;
    complain(error, form);
  }
}

/**
 * The key of a comment. Sent again as it was, it has the same; anything else is another comment.
 * @param {HTMLFormElement} form
 * @param {string} text
 */
function keyFor(form, text) {
  const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("key"));
  if (form.dataset["sent"] !== text) field.value = newKey();
  form.dataset["sent"] = text;
  return field.value;
}

/**
 * The comment as it will be, nearly.
 * @param {HTMLFormElement} form
 * @param {string} text
 * @returns {Element}
 */
function place(form, text) {
  const list = form.closest("[data-post]")?.querySelector(".comments, .words");
  const inPage = list instanceof HTMLOListElement;
  const said = document.createElement("p");
  const name = document.createElement("bdi");
  said.className = inPage ? "said" : "said clamp";
  name.className = "name";
  name.textContent = form.dataset["by"] ?? "";
  said.append(name, ` ${text}`);
  const item = inPage ? document.createElement("li") : said;
  if (inPage) {
    item.className = "comment";
    item.append(said);
  }
  item.classList.add("unsent");
  list?.append(item);
  tidy(form);
  if (inPage) item.scrollIntoView({ block: "nearest" });
  return item;
}

/** On the page of a post: either comments or that there are none. @param {Element} inside */
function tidy(inside) {
  const post = inside.closest("[data-post]");
  const list = post?.querySelector("ol.comments");
  const none = post?.querySelector(".no-comments");
  if (!(list instanceof HTMLElement) || !(none instanceof HTMLElement)) return;
  list.hidden = !list.querySelector("li:not([hidden])");
  none.hidden = !list.hidden;
}

/** @param {HTMLFormElement} form */
async function remove(form) {
  const comment = form.closest("li");
  const post = form.closest("[data-post]");
  if (!comment || !post) return form.submit();
  const next = comment.nextElementSibling ?? comment.previousElementSibling;
  const focus = next?.querySelector("summary") ?? post.querySelector("[data-say] [name=text]");
  comment.hidden = true;
  tidy(comment);
  if (focus instanceof HTMLElement) focus.focus({ preventScroll: true });
  try {
    await send(form.action);
  } catch (error) {
    if (!(error instanceof Refused && error.code === "comment_missing")) {
      comment.hidden = false;
      tidy(comment);
      return complain(error, form);
    }
  }
  comment.remove();
  say(gettext("The comment is deleted."));
}

/**
 * @param {unknown} error
 * @param {HTMLFormElement} form that may be sent again
 */
function complain(error, form) {
  if (!(error instanceof Refused)) throw error;
  const again = { label: gettext("Send again"), run: () => form.requestSubmit() };
  if (error.status === 401) {
    const run = () => {
      open("/log-in/", "_blank", "noopener");
      toast(gettext("Once you are logged in again:"), { error: true, action: again });
    };
    const action = { label: gettext("Log in in a new tab"), run };
    toast(gettext("You have been logged out. What you wrote is still here."), { error: true, action });
  } else if (error.code === "post_missing") {
    toast(gettext("This post has just been deleted."), { error: true });
  } else if (error.status === 0) {
    toast(gettext("The site cannot be reached. What you wrote is still here."), { error: true, action: again });
  } else {
    toast(error.message || gettext("That did not work."), { error: true });
  }
}
