/*
 * Small pictures of the files that are chosen, one after the other: a phone has no room for forty decoded photos at once.
 */

// @ts-check

const SIDE = 176;

let last = Promise.resolve();

/**
 * @param {Blob} blob
 * @returns {Promise<HTMLCanvasElement | null>} null where the browser cannot decode it (HEIC)
 */
export function thumb(blob) {
  const made = last.then(() => draw(blob));
  last = made.then(() => {}, () => {});
  return made;
}

/** @param {Blob} blob */
async function draw(blob) {
  try {
    const picture = await createImageBitmap(blob);
    const scale = SIDE / Math.min(picture.width, picture.height);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    const [width, height] = [picture.width * scale, picture.height * scale];
    canvas.getContext("2d")?.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    picture.close();
    return canvas;
  } catch {
    return null;
  }
}
