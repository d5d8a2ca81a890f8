// Build elements. Text goes in as text nodes only: nothing here takes HTML.

export const $ = (id) => document.getElementById(id);

/** Build an element with attributes, listeners (onclick: …) and children; strings become text nodes. */
export function el(name, given = {}, ...children) {
  return fill(document.createElement(name), given, children);
}

export function svg(name, given = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), given, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...given(children));
  return node;
}

/** Drop empty children: `condition && child` leaves a false behind. */
const given = (children) => children.filter((child) => child || child === 0);

/** Show text written by strangers, isolated, so that its direction cannot leave it. */
export function foreign(text, given = {}) {
  return el("bdi", { dir: "auto", ...given }, text);
}

/** Replace all children. */
export function replace(node, ...children) {
  node.replaceChildren(...given(children));
}

/** Set text and visibility only if they change: a screen that does not move is easier to read. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function toggle(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}
