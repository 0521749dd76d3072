/*
 * The filters: twelve renditions after processes of photography's first century. A filter is a mix of the channels, a curve
 * for each, and sometimes a vignette. In one without colour all channels are the same after the mix, so that its three
 * curves are the tones of the process: from the colour of its shadows to that of its paper.
 */

// @ts-check

/** @typedef {readonly (readonly [number, number])[]} Points of a curve, from 0 to 1; both ends are given */

/** @typedef {readonly [number, number, number, number, number, number, number, number, number]} Rows of a 3 x 3 matrix */

/**
 * @typedef {object} Filter
 * @property {string} id as it stands in recipes: for ever; what people read is in `filter_words.js`
 * @property {Rows} mix
 * @property {readonly [Points, Points, Points]} curves of red, green and blue
 * @property {number} [vignette] 0 to 1
 */

/** Every channel becomes this mix of all. @param {number} r @param {number} g @param {number} b @returns {Rows} */
const grey = (r, g, b) => [r, g, b, r, g, b, r, g, b];

/** @type {readonly Filter[]} */
export const FILTERS = [
  {
    // A paper negative printed on paper: brown, soft, its shadows never quite black.
    id: "calotype",
    mix: grey(0.25, 0.5, 0.25),
    curves: [
      [[0, 0.2], [0.25, 0.385], [0.5, 0.62], [0.75, 0.82], [1, 0.965]],
      [[0, 0.14], [0.25, 0.3], [0.5, 0.525], [0.75, 0.74], [1, 0.915]],
      [[0, 0.085], [0.25, 0.205], [0.5, 0.395], [0.75, 0.605], [1, 0.8]],
    ],
    vignette: 0.15,
  },
  {
    // Iron salts: Prussian blue on white.
    id: "cyanotype",
    mix: grey(0.25, 0.55, 0.2),
    curves: [
      [[0, 0.02], [0.3, 0.09], [0.6, 0.36], [0.85, 0.78], [1, 0.96]],
      [[0, 0.09], [0.3, 0.26], [0.6, 0.57], [0.85, 0.86], [1, 0.975]],
      [[0, 0.25], [0.3, 0.46], [0.6, 0.72], [0.85, 0.91], [1, 0.98]],
    ],
  },
  {
    // Egg white and gold: purple-brown shadows, cream lights, a gloss.
    id: "albumen",
    mix: grey(0.24, 0.5, 0.26),
    curves: [
      [[0, 0.085], [0.2, 0.225], [0.5, 0.58], [0.8, 0.9], [1, 1]],
      [[0, 0.037], [0.2, 0.14], [0.5, 0.48], [0.8, 0.838], [1, 0.975]],
      [[0, 0.075], [0.2, 0.175], [0.5, 0.435], [0.8, 0.735], [1, 0.88]],
    ],
  },
  {
    // A positive on dark glass: low in key, warm silver lights.
    id: "ambrotype",
    mix: grey(0.16, 0.46, 0.38),
    curves: [
      [[0, 0.03], [0.25, 0.15], [0.5, 0.4], [0.75, 0.68], [1, 0.92]],
      [[0, 0.029], [0.25, 0.145], [0.5, 0.388], [0.75, 0.662], [1, 0.895]],
      [[0, 0.03], [0.25, 0.14], [0.5, 0.366], [0.75, 0.625], [1, 0.845]],
    ],
    vignette: 0.35,
  },
  {
    // The longest scale of all: neutral, a little warm, open shadows.
    id: "platinum",
    mix: grey(0.3, 0.55, 0.15),
    curves: [
      [[0, 0.055], [0.25, 0.27], [0.5, 0.52], [0.75, 0.75], [1, 0.97]],
      [[0, 0.05], [0.25, 0.262], [0.5, 0.508], [0.75, 0.735], [1, 0.95]],
      [[0, 0.048], [0.25, 0.25], [0.5, 0.485], [0.75, 0.7], [1, 0.905]],
    ],
  },
  {
    // A wet plate sees blue and little red: pale skies, dark lips, cold silver.
    id: "collodion",
    mix: grey(0.04, 0.36, 0.6),
    curves: [
      [[0, 0.014], [0.2, 0.13], [0.5, 0.522], [0.8, 0.87], [1, 0.972]],
      [[0, 0.016], [0.2, 0.135], [0.5, 0.528], [0.8, 0.877], [1, 0.98]],
      [[0, 0.026], [0.2, 0.146], [0.5, 0.537], [0.8, 0.88], [1, 0.978]],
    ],
    vignette: 0.2,
  },
  {
    // Iron and silver: a deep chocolate.
    id: "vandyke",
    mix: grey(0.3, 0.5, 0.2),
    curves: [
      [[0, 0.1], [0.25, 0.29], [0.5, 0.56], [0.75, 0.82], [1, 1]],
      [[0, 0.035], [0.25, 0.155], [0.5, 0.41], [0.75, 0.735], [1, 0.965]],
      [[0, 0.02], [0.25, 0.085], [0.5, 0.29], [0.75, 0.61], [1, 0.885]],
    ],
  },
  {
    // Dyed grains of starch: pastel, a rose light over green shadows.
    id: "autochrome",
    mix: [0.92, 0.07, 0.01, 0.04, 0.9, 0.06, 0.04, 0.12, 0.84],
    curves: [
      [[0, 0.06], [0.3, 0.35], [0.6, 0.69], [1, 0.99]],
      [[0, 0.08], [0.3, 0.35], [0.6, 0.655], [1, 0.96]],
      [[0, 0.09], [0.3, 0.325], [0.6, 0.595], [1, 0.905]],
    ],
    vignette: 0.15,
  },
  {
    // Three pigments over each other: full colours, deep blacks.
    id: "carbro",
    mix: [1.15, -0.1, -0.05, -0.06, 1.12, -0.06, -0.03, -0.11, 1.14],
    curves: [
      [[0, 0.015], [0.25, 0.21], [0.5, 0.51], [0.75, 0.795], [1, 0.995]],
      [[0, 0.012], [0.25, 0.203], [0.5, 0.502], [0.75, 0.787], [1, 0.99]],
      [[0, 0.026], [0.25, 0.215], [0.5, 0.495], [0.75, 0.77], [1, 0.97]],
    ],
  },
  {
    // Gum and pigment on rough paper: few tones, muted, warm lights over slate.
    id: "bichromate",
    mix: [0.58, 0.34, 0.08, 0.2, 0.68, 0.12, 0.16, 0.34, 0.5],
    curves: [
      [[0, 0.105], [0.2, 0.22], [0.5, 0.57], [0.8, 0.88], [1, 0.97]],
      [[0, 0.115], [0.2, 0.215], [0.5, 0.525], [0.8, 0.835], [1, 0.935]],
      [[0, 0.135], [0.2, 0.22], [0.5, 0.465], [0.8, 0.735], [1, 0.85]],
    ],
  },
  {
    // The first colours fixed by the sun: cool shadows, golden lights.
    id: "heliochrome",
    mix: [1.08, -0.02, -0.06, -0.02, 1.04, -0.02, -0.04, 0.02, 1.02],
    curves: [
      [[0, 0.02], [0.25, 0.235], [0.5, 0.54], [0.75, 0.82], [1, 1]],
      [[0, 0.035], [0.25, 0.25], [0.5, 0.52], [0.75, 0.785], [1, 0.975]],
      [[0, 0.08], [0.25, 0.285], [0.5, 0.495], [0.75, 0.71], [1, 0.9]],
    ],
  },
  {
    // Printed on milk glass and tinted by hand: bright, tender.
    id: "opaltype",
    mix: [0.78, 0.17, 0.05, 0.1, 0.82, 0.08, 0.09, 0.18, 0.73],
    curves: [
      [[0, 0.085], [0.25, 0.37], [0.5, 0.665], [0.75, 0.88], [1, 1]],
      [[0, 0.08], [0.25, 0.355], [0.5, 0.645], [0.75, 0.868], [1, 0.995]],
      [[0, 0.09], [0.25, 0.35], [0.5, 0.63], [0.75, 0.85], [1, 0.98]],
    ],
  },
];

/** @param {unknown} id @returns {Filter | undefined} */
export function filterOf(id) {
  return FILTERS.find((filter) => filter.id === id);
}
