// The texts of the page. A language is one file, texts/LANGUAGE.json; texts/en.json has all of them.

const REFERENCE = "en";
let reference = {}, chosen = {};

async function table(language) {
  try {
    const response = await fetch(new URL(`texts/${language}.json`, import.meta.url));
    return response.ok ? await response.json() : null;
  } catch {
    return null; // without a network, a language that is not in the bundle
  }
}

/** Loads the first of the languages (codes such as "de-CH") that the bundle has; English otherwise. */
export async function loadTexts(languages) {
  reference = await table(REFERENCE);
  if (!reference) throw new Error("texts/en.json: cannot be read");
  document.documentElement.lang = REFERENCE;
  for (const language of languages.map((code) => code.toLowerCase().split("-")[0])) {
    if (language === REFERENCE) return;
    if (!/^[a-z]{2,3}$/.test(language)) continue;
    const found = await table(language);
    if (!found) continue;
    chosen = found;
    document.documentElement.lang = language;
    return;
  }
}

function filled(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A text in the user's language, with values in place of {names}. */
export const text = (key, values = {}) => filled(chosen[key] ?? reference[key], values);

/** A text in English, as the Python runtime writes it. */
export const english = (key, values = {}) => filled(reference[key], values);

/** Fills every element with data-text, and labels every element with data-label. */
export function fillTexts(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
}
