/*
 * Requests of the modules to this site: JSON and fragments, with the token that Django asks for.
 *
 * Whoever has been signed out meanwhile hears so once, by the event `calotype:signed-out` on the document; what was typed
 * stays where it is.
 */

// @ts-check

/** An answer that is no success, or none at all (`status` 0: the site cannot be reached). */
export class Refused extends Error {
  /**
   * @param {number} status of HTTP
   * @param {string} code of the error, as docs/web.md lists them
   * @param {string} message a sentence for the person
   * @param {number} [retryAfterS] when it may be tried again
   */
  constructor(status, code, message, retryAfterS) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may go through later without anybody changing anything. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** What Django wants to see in a form that changes something. */
export function token() {
  return document.body.dataset["csrf"] ?? "";
}

/** A new key for a request: however often it is sent, it counts once. */
export function newKey() {
  return crypto.randomUUID();
}

/**
 * Ask for JSON.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<unknown>} the document, or undefined where there is none
 * @throws {Refused}
 */
export async function ask(path, options = {}) {
  const answer = await reach(path, options, "application/json");
  return answer.status === 204 ? undefined : answer.json();
}

/**
 * Send fields as a form does, and have JSON back.
 * @param {string} path
 * @param {Record<string, string>} [fields]
 * @param {{key?: string, keepalive?: boolean, signal?: AbortSignal}} [options] `key` makes a repeated request harmless
 * @returns {Promise<unknown>}
 * @throws {Refused}
 */
export function send(path, fields = {}, { key, ...options } = {}) {
  const body = new URLSearchParams(fields);
  const headers = new Headers({ "X-CSRFToken": token() });
  if (key) headers.set("Idempotency-Key", key);
  return ask(path, { method: "POST", body, headers, ...options });
}

/**
 * A part of a page: what a view answers to `X-Fragment`.
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<DocumentFragment>}
 * @throws {Refused}
 */
export async function fragment(path, options = {}) {
  const answer = await reach(path, { ...options, headers: { "X-Fragment": "1" } }, "text/html");
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content;
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {string} accept
 * @returns {Promise<Response>}
 */
async function reach(path, options, accept) {
  const headers = new Headers(options.headers);
  headers.set("Accept", accept);
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", "");
  }
  if (answer.ok) return answer;
  if (answer.status === 403 && headers.has("X-CSRFToken") && !headers.has("X-Renewed") && (await renewToken())) {
    headers.set("X-CSRFToken", token());
    headers.set("X-Renewed", "1");
    return reach(path, { ...options, headers }, accept);
  }
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("calotype:signed-out"));
  throw await refusal(answer);
}

/**
 * Whoever logs in again in another tab has another token: take it from this page as it is now. Not if somebody else has
 * logged in: what was written here is not theirs to send.
 * @returns {Promise<boolean>} whether there is one
 */
export async function renewToken() {
  try {
    const page = await (await fetch(location.pathname, { credentials: "same-origin", cache: "no-store" })).text();
    const [, found, account] = /<body[^>]* data-csrf="([^"]+)" data-account="([^"]+)"/.exec(page) ?? [];
    if (!found || account !== document.body.dataset["account"]) return false;
    document.body.dataset["csrf"] = found;
    return true;
  } catch {
    return false;
  }
}

/** @param {Response} answer */
async function refusal(answer) {
  const after = Number(answer.headers.get("Retry-After")) || undefined;
  try {
    const { error } = await answer.json();
    return new Refused(answer.status, String(error.code), String(error.message), after);
  } catch {
    return new Refused(answer.status, "failed", "", after);
  }
}
