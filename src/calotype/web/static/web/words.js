/*
 * What modules say, in the language of the page. The catalogue of a language is a file beside the modules; English has none.
 *
 * `gettext` and `ngettext` are called with literal sentences: `scripts/` takes them out of the modules for translators.
 */

// @ts-check

/** @typedef {{plural: string, messages: Record<string, string | string[]>}} Catalogue */

const catalogue = await load();
const rules = new Intl.PluralRules(document.documentElement.lang || "en");

/** @returns {Promise<Catalogue["messages"]>} */
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
  const found = catalogue[one];
  const forms = Array.isArray(found) ? found : [one, many];
  const categories = rules.resolvedOptions().pluralCategories;
  const at = forms.length === 2 ? Number(rules.select(n) !== "one") : categories.indexOf(rules.select(n));
  return filled(forms[at] ?? forms[forms.length - 1] ?? many, { n: number(n), ...values });
}

/** @param {number} value */
export function number(value) {
  return new Intl.NumberFormat(document.documentElement.lang || "en").format(value);
}

/**
 * @param {string} sentence
 * @param {Record<string, string | number>} [values]
 */
function filled(sentence, values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
