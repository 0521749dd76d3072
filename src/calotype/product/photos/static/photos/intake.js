/*
 * How photos come to a page: chosen, taken with the camera, dropped anywhere, or pasted.
 */

// @ts-check

const PICTURE = /\.(jpe?g|png|webp|hei[cf]|avif|gif)$/i;

/** @param {File} file what a person may have meant as a photo; the site looks at the bytes */
function isPicture(file) {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

/** @param {DataTransfer | null} data */
function hasFiles(data) {
  return data !== null && Array.from(data.types).includes("Files");
}

/**
 * @param {HTMLFormElement} form
 * @param {(files: File[]) => void} take
 */
export function intake(form, take) {
  // Only where a camera is at hand: elsewhere `capture` asks for the same files again.
  const camera = form.querySelector("template[data-camera]");
  const touched = matchMedia("(hover: none) and (pointer: coarse)").matches;
  if (touched && camera instanceof HTMLTemplateElement) camera.replaceWith(camera.content);
  for (const input of form.querySelectorAll("input[type=file]")) {
    if (input instanceof HTMLInputElement) chosen(input, take);
  }
  dropped(take);
  document.addEventListener("paste", (event) => {
    const files = Array.from(event.clipboardData?.files ?? []).filter(isPicture);
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

/** @param {HTMLInputElement} input @param {(files: File[]) => void} take */
function chosen(input, take) {
  const taken = () => {
    const files = Array.from(input.files ?? []);
    input.value = ""; // The same file may be chosen again.
    if (files.length) take(files);
  };
  input.required = false;
  input.addEventListener("change", taken);
  taken(); // What was chosen before this module was there.
}

/** The whole page is the target, and says so. @param {(files: File[]) => void} take */
function dropped(take) {
  let depth = 0;
  const mark = (/** @type {number} */ now) => {
    depth = now;
    document.body.classList.toggle("dropping", depth > 0);
  };
  window.addEventListener("dragenter", (event) => hasFiles(event.dataTransfer) && mark(depth + 1));
  window.addEventListener("dragleave", (event) => hasFiles(event.dataTransfer) && mark(Math.max(0, depth - 1)));
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event.dataTransfer) || !event.dataTransfer) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    mark(0);
    const files = Array.from(event.dataTransfer?.files ?? []).filter(isPicture);
    if (files.length) take(files);
  });
}
