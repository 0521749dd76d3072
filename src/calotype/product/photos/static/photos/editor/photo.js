/*
 * A photograph as it comes from a file: upright, in the colour space that it needs.
 */

// @ts-check

/** The longest side of the picture by which its colours are judged. */
const SAMPLE = 512;

/** How far outside of sRGB a colour must be, on linear light, to be no error of rounding. */
const OUTSIDE = 0.012;

/** Linear Display P3 to linear sRGB. */
const TO_SRGB = /** @type {const} */ ([
  [1.2249, -0.2249, 0],
  [-0.0421, 1.0421, 0],
  [-0.0196, -0.0786, 1.0983],
]);

/**
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>} whole
 * @throws {DOMException} for what this browser cannot decode
 */
export function decoded(file) {
  return createImageBitmap(file, { imageOrientation: "from-image" });
}

/**
 * The same photograph no larger than a side; it takes the place of the one that is given.
 * @param {ImageBitmap} photo
 * @param {number} longest
 * @returns {Promise<ImageBitmap>}
 */
export async function smaller(photo, longest) {
  const scale = longest / Math.max(photo.width, photo.height);
  if (scale >= 1) return photo;
  const small = await createImageBitmap(photo, {
    resizeWidth: Math.max(1, Math.round(photo.width * scale)),
    resizeHeight: Math.max(1, Math.round(photo.height * scale)),
    resizeQuality: "high",
  });
  photo.close();
  return small;
}

/**
 * Display P3 for a photograph with colours that sRGB cannot hold, whatever its format and profile; else sRGB.
 * @param {ImageBitmap} photo
 * @returns {PredefinedColorSpace}
 */
export function colorSpaceOf(photo) {
  if (typeof OffscreenCanvas === "undefined") return "srgb";
  const scale = Math.min(1, SAMPLE / Math.max(photo.width, photo.height));
  const [width, height] = [Math.max(1, Math.round(photo.width * scale)), Math.max(1, Math.round(photo.height * scale))];
  const context = new OffscreenCanvas(width, height).getContext("2d", { colorSpace: "display-p3", willReadFrequently: true });
  if (!context) return "srgb";
  context.drawImage(photo, 0, 0, width, height);
  return beyondSrgb(context.getImageData(0, 0, width, height, { colorSpace: "display-p3" }).data) ? "display-p3" : "srgb";
}

/** Whether pixels in Display P3 need it. @param {Uint8ClampedArray} data RGBA */
export function beyondSrgb(data) {
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = [LINEAR[data[at]], LINEAR[data[at + 1]], LINEAR[data[at + 2]]];
    for (const [x, y, z] of TO_SRGB) {
      const value = x * r + y * g + z * b;
      if (value < -OUTSIDE || value > 1 + OUTSIDE) return true;
    }
  }
  return false;
}

const LINEAR = Float32Array.from({ length: 256 }, (_level, at) => {
  const value = at / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});
