// Requests to the adapter: JSON both ways; an error carries the text of the adapter.

import { t } from "./i18n.js";

/** An error in the reader's language; a value may be an error of its own. */
function worded({ error, text, values }) {
  if (!text) return error ? t(error) : "";
  const inner = Object.entries(values).map(([name, value]) => [name, value?.text ? worded(value) : value]);
  return t(text, Object.fromEntries(inner));
}

async function answered(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Without a body the status says enough.
  }
  if (response.status === 401) location.replace("/login");
  if (!response.ok) throw new Error(worded(body) || t("the adapter answered {status}", { status: response.status }));
  return body;
}

export async function get(path, query = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return answered(await fetch(url));
}

export async function post(path, body) {
  return answered(
    await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-QQBus": "1" },
      body: JSON.stringify(body),
    }),
  );
}
