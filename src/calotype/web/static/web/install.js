/*
 * An entry in the settings that installs the site as an app, where the browser offers that.
 */

// @ts-check

const entry = document.querySelector("[data-install]");

addEventListener("beforeinstallprompt", (event) => {
  const button = entry?.querySelector("button");
  if (!(entry instanceof HTMLElement) || !button) return;
  event.preventDefault();
  entry.hidden = false;
  button.onclick = async () => {
    entry.hidden = true; // an offer can be taken once
    await /** @type {Event & {prompt: () => Promise<unknown>}} */ (event).prompt();
  };
});
