// Texts in the reader's language. English is the key; `{name}` stands for a value.

let catalogue = {};

export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Begin with a capital. */
export const sentence = (text) => text.slice(0, 1).toLocaleUpperCase() + text.slice(1);
