/*
 * An entry in the settings that installs the site as an app, where the browser offers that.
 */

// @ts-check

const entry = document.querySelector("[data-install]");

addEventListener("beforeinstallprompt", (event) => {
  if (!(entry instanceof HTMLButtonElement)) return;
  event.preventDefault();
  entry.hidden = false;
  entry.onclick = async () => {
    entry.hidden = true; // one offer can be asked once
    await /** @type {Event & {prompt: () => Promise<unknown>}} */ (event).prompt();
  };
});
