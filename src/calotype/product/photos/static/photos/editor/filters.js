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
 * @property {string} id as it stands in recipes: for ever
 * @property {string} name
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
    name: "Calotype",
    mix: grey(0.2, 0.45, 0.35),
    curves: [
      [[0, 0.15], [0.25, 0.33], [0.5, 0.58], [0.75, 0.79], [1, 0.95]],
      [[0, 0.1], [0.25, 0.255], [0.5, 0.49], [0.75, 0.71], [1, 0.9]],
      [[0, 0.075], [0.25, 0.19], [0.5, 0.39], [0.75, 0.6], [1, 0.8]],
    ],
    vignette: 0.2,
  },
  {
    // Iron salts: Prussian blue on white.
    id: "cyanotype",
    name: "Cyanotype",
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
    name: "Albumen",
    mix: grey(0.22, 0.5, 0.28),
    curves: [
      [[0, 0.09], [0.2, 0.24], [0.5, 0.57], [0.8, 0.87], [1, 1]],
      [[0, 0.045], [0.2, 0.165], [0.5, 0.48], [0.8, 0.81], [1, 0.965]],
      [[0, 0.07], [0.2, 0.165], [0.5, 0.42], [0.8, 0.7], [1, 0.86]],
    ],
  },
  {
    // A positive on dark glass: low in key, silver lights.
    id: "ambrotype",
    name: "Ambrotype",
    mix: grey(0.1, 0.45, 0.45),
    curves: [
      [[0, 0.03], [0.25, 0.12], [0.5, 0.34], [0.75, 0.62], [1, 0.89]],
      [[0, 0.027], [0.25, 0.112], [0.5, 0.325], [0.75, 0.6], [1, 0.865]],
      [[0, 0.027], [0.25, 0.107], [0.5, 0.305], [0.75, 0.565], [1, 0.815]],
    ],
    vignette: 0.45,
  },
  {
    // The longest scale of all: neutral, a little warm, open shadows.
    id: "platinum",
    name: "Platinum",
    mix: grey(0.3, 0.55, 0.15),
    curves: [
      [[0, 0.055], [0.25, 0.27], [0.5, 0.52], [0.75, 0.75], [1, 0.97]],
      [[0, 0.05], [0.25, 0.262], [0.5, 0.508], [0.75, 0.735], [1, 0.95]],
      [[0, 0.048], [0.25, 0.25], [0.5, 0.485], [0.75, 0.7], [1, 0.905]],
    ],
  },
  {
    // A wet plate sees blue and hardly any red: pale skies, dark lips, hard contrast.
    id: "collodion",
    name: "Collodion",
    mix: grey(-0.12, 0.32, 0.8),
    curves: [
      [[0, 0.01], [0.2, 0.115], [0.5, 0.52], [0.8, 0.88], [1, 0.98]],
      [[0, 0.01], [0.2, 0.11], [0.5, 0.51], [0.8, 0.87], [1, 0.965]],
      [[0, 0.018], [0.2, 0.115], [0.5, 0.5], [0.8, 0.85], [1, 0.935]],
    ],
    vignette: 0.25,
  },
  {
    // Iron and silver: a deep chocolate.
    id: "vandyke",
    name: "Van Dyke",
    mix: grey(0.28, 0.52, 0.2),
    curves: [
      [[0, 0.11], [0.25, 0.29], [0.5, 0.54], [0.75, 0.79], [1, 0.985]],
      [[0, 0.05], [0.25, 0.175], [0.5, 0.415], [0.75, 0.71], [1, 0.95]],
      [[0, 0.03], [0.25, 0.105], [0.5, 0.31], [0.75, 0.6], [1, 0.87]],
    ],
  },
  {
    // Dyed grains of starch: pastel, a rose light over green shadows.
    id: "autochrome",
    name: "Autochrome",
    mix: [0.86, 0.12, 0.02, 0.07, 0.83, 0.1, 0.06, 0.2, 0.74],
    curves: [
      [[0, 0.075], [0.3, 0.33], [0.6, 0.64], [1, 0.97]],
      [[0, 0.085], [0.3, 0.315], [0.6, 0.6], [1, 0.93]],
      [[0, 0.08], [0.3, 0.29], [0.6, 0.545], [1, 0.86]],
    ],
    vignette: 0.2,
  },
  {
    // Three pigments over each other: full colours, deep blacks.
    id: "carbro",
    name: "Carbro",
    mix: [1.26, -0.18, -0.08, -0.1, 1.22, -0.12, -0.06, -0.18, 1.24],
    curves: [
      [[0, 0.015], [0.25, 0.215], [0.5, 0.515], [0.75, 0.8], [1, 0.995]],
      [[0, 0.012], [0.25, 0.205], [0.5, 0.5], [0.75, 0.785], [1, 0.985]],
      [[0, 0.03], [0.25, 0.215], [0.5, 0.485], [0.75, 0.755], [1, 0.955]],
    ],
  },
  {
    // Gum and pigment on rough paper: few tones, muted, warm.
    id: "bichromate",
    name: "Bichromate",
    mix: [0.66, 0.28, 0.06, 0.2, 0.66, 0.14, 0.18, 0.32, 0.5],
    curves: [
      [[0, 0.13], [0.3, 0.34], [0.6, 0.66], [1, 0.945]],
      [[0, 0.105], [0.3, 0.295], [0.6, 0.605], [1, 0.9]],
      [[0, 0.115], [0.3, 0.27], [0.6, 0.53], [1, 0.79]],
    ],
  },
  {
    // The first colours fixed by the sun: cool shadows, golden lights.
    id: "heliochrome",
    name: "Heliochrome",
    mix: [1.08, -0.02, -0.06, -0.02, 1.04, -0.02, -0.04, 0.02, 1.02],
    curves: [
      [[0, 0.02], [0.25, 0.23], [0.5, 0.535], [0.75, 0.815], [1, 1]],
      [[0, 0.035], [0.25, 0.25], [0.5, 0.515], [0.75, 0.77], [1, 0.965]],
      [[0, 0.085], [0.25, 0.295], [0.5, 0.49], [0.75, 0.685], [1, 0.865]],
    ],
  },
  {
    // Printed on milk glass and tinted by hand: bright, tender.
    id: "opaltype",
    name: "Opaltype",
    mix: [0.72, 0.22, 0.06, 0.14, 0.76, 0.1, 0.12, 0.22, 0.66],
    curves: [
      [[0, 0.09], [0.25, 0.36], [0.5, 0.64], [0.75, 0.86], [1, 1]],
      [[0, 0.085], [0.25, 0.34], [0.5, 0.615], [0.75, 0.84], [1, 0.985]],
      [[0, 0.1], [0.25, 0.35], [0.5, 0.62], [0.75, 0.84], [1, 0.98]],
    ],
  },
];

/** @param {unknown} id @returns {Filter | undefined} */
export function filterOf(id) {
  return FILTERS.find((filter) => filter.id === id);
}
