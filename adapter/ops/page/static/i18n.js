// Texts in the reader's language. English is the key; `{name}` stands for a value.
// The language is the browser's unless the reader has chosen one.

const LANGUAGES = { en: "English", "zh-CN": "中文" };
const KEPT = "language"; // in this browser's storage

function pick() {
  const chosen = localStorage.getItem(KEPT);
  if (chosen in LANGUAGES) return chosen;
  const first = (navigator.languages ?? [navigator.language])[0] ?? "en";
  return first.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}

export const language = pick();

async function load() {
  if (language === "en") return {};
  try {
    const answer = await fetch(`/texts-${language}.json`);
    return answer.ok ? await answer.json() : {};
  } catch {
    return {}; // English is better than no page
  }
}

const catalogue = await load();

export function t(text, values = {}) {
  // `!r` as in Python: a text that was typed stands in quotes.
  return (catalogue[text] ?? text).replace(/\{(\w+)(!r)?\}/g, (_, name, quoted) =>
    quoted ? `'${values[name]}'` : (values[name] ?? ""),
  );
}

/** Begin with a capital. */
export const sentence = (text) => text.slice(0, 1).toLocaleUpperCase() + text.slice(1);

const ATTRIBUTES = ["placeholder", "title", "aria-label", "alt", "data-sure"];

/** Translate the texts that stand in the file itself, and offer the other language. */
export function translatePage() {
  document.documentElement.lang = language;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.data.trim();
    if (words in catalogue) texts.currentNode.data = texts.currentNode.data.replace(words, catalogue[words]);
  }
  for (const node of document.body.querySelectorAll("*")) {
    for (const name of ATTRIBUTES) {
      const words = node.getAttribute(name);
      if (words && words in catalogue) node.setAttribute(name, catalogue[words]);
    }
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    const other = language === "en" ? "zh-CN" : "en";
    button.textContent = LANGUAGES[other];
    button.lang = other;
    button.addEventListener("click", () => {
      localStorage.setItem(KEPT, other);
      location.reload();
    });
  }
}
