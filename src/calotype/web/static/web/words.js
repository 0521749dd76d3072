/*
 * What modules say, in the language of the page. The catalogue of a language is a file beside the modules; English has none.
 *
 * `gettext` and `ngettext` are called with literal sentences: `scripts/words.py` takes them out of the modules for translators.
 */

// @ts-check

/** A translation, or one for each of CLDR's forms of the plural. @typedef {string | Record<string, string>} Translation */

const language = document.documentElement.lang || "en";
const rules = new Intl.PluralRules(language);
const digits = new Intl.NumberFormat(language);
const catalogue = await load();

/** @returns {Promise<Record<string, Translation>>} */
async function load() {
  const link = document.querySelector("link[data-words]");
  if (!(link instanceof HTMLLinkElement)) return {};
  try {
    const answer = await fetch(link.href, { credentials: "same-origin" });
    return answer.ok ? (await answer.json()).messages : {};
  } catch {
    return {}; // English is better than nothing.
  }
}

/**
 * @param {string} sentence
 * @param {Record<string, string | number>} [values] for its `{names}`
 */
export function gettext(sentence, values) {
  const found = catalogue[sentence];
  return filled(typeof found === "string" ? found : sentence, values);
}

/**
 * @param {string} one
 * @param {string} many
 * @param {number} n
 * @param {Record<string, string | number>} [values] for `{names}`; `{n}` is the number as the language writes it
 */
export function ngettext(one, many, n, values) {
  const forms = catalogue[one];
  // Without a translation the sentence is English, whose rule is not that of the page's language.
  const english = n === 1 ? one : many;
  const said = typeof forms === "object" ? forms[rules.select(n)] ?? forms["other"] : undefined;
  return filled(said ?? english, { n: number(n), ...values });
}

/** @param {number} value */
export function number(value) {
  return digits.format(value);
}

/**
 * @param {string} sentence
 * @param {Record<string, string | number>} [values]
 */
function filled(sentence, values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
