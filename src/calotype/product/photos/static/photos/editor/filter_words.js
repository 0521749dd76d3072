/*
 * What the filters are called, and what each does, in the language of the page. Apart from the filters themselves, which the worker
 * loads too, where there is no page and no language.
 */

// @ts-check

import { gettext } from "../../web/words.js";

/**
 * The processes have names in every language; who does not know them reads what they do.
 * @type {Record<string, {name: string, does: string}>} by the filter's id
 */
export const FILTER_WORDS = {
  calotype: { name: gettext("Calotype"), does: gettext("Brown and soft, like a print on paper") },
  cyanotype: { name: gettext("Cyanotype"), does: gettext("Prussian blue on white") },
  albumen: { name: gettext("Albumen"), does: gettext("Purple-brown shadows, cream lights") },
  ambrotype: { name: gettext("Ambrotype"), does: gettext("Dark and silvery, like a picture on glass") },
  platinum: { name: gettext("Platinum"), does: gettext("A long scale of warm greys") },
  collodion: { name: gettext("Collodion"), does: gettext("Cold black and white with pale skies") },
  vandyke: { name: gettext("Van Dyke"), does: gettext("Deep chocolate brown") },
  autochrome: { name: gettext("Autochrome"), does: gettext("Pastel colours in a warm, soft light") },
  carbro: { name: gettext("Carbro"), does: gettext("Full colours, deep blacks") },
  bichromate: { name: gettext("Gum bichromate"), does: gettext("Muted, warm and matt") },
  heliochrome: { name: gettext("Heliochrome"), does: gettext("Golden lights, cool shadows") },
  opaltype: { name: gettext("Opaltype"), does: gettext("Bright and tender") },
};
