// Requests to the adapter: JSON both ways; an error carries the text of the adapter.

async function answered(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Without a body the status says enough.
  }
  if (response.status === 401) location.replace("/login");
  if (!response.ok) throw new Error(body.error || `the adapter answered ${response.status}`);
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
