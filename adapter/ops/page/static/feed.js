// The feed: events, requests and their results in one column, the newest last.
import { avatar } from "./contacts.js";
import { $, el, foreign, put, replace, toggle } from "./dom.js";
import { get } from "./net.js";
import { address, meet, nameOf, resulted } from "./send.js";
import { bytes, clock, entryTime } from "./words.js";

const KEPT = 400; // rows; older ones leave the screen
const LINES = 6; // of a text, the height of `.text` in feed.css
const NEAR = 60; // pixels from the end within which the feed follows its end

const rows = new Map(); // "event 1-0" -> {view, node}
const results = new Map(); // entry of a request -> result
const filter = { kind: "all", chat: "", text: "" };
let unseen = 0;
let sticky = true;
let height = 0; // of the list at the last look

const list = $("rows");
const key = (view) => `${view.kind} ${view.entry}`;

function atEnd() {
  return list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
}

export const feed = {
  /** Show a snapshot. */
  reset({ events = [], requests = [], results: known = [] }) {
    rows.clear();
    results.clear();
    unseen = 0;
    for (const result of known) results.set(result.entry, result);
    const views = [...events, ...requests].sort((a, b) => order(a) - order(b));
    replace(list, ...views.slice(-KEPT).map(make));
    this.end();
  },

  /** Add what is new. */
  add({ events = [], requests = [], results: fresh = [], skipped = 0 }) {
    if (skipped) list.append(el("li", { class: "gap" }, `${skipped} events came too fast to be shown`));
    for (const view of [...events, ...requests].sort((a, b) => order(a) - order(b))) {
      if (rows.has(key(view))) continue;
      const node = make(view);
      list.append(node);
      if (!sticky && !node.hidden) unseen += 1;
    }
    for (const result of fresh) {
      results.set(result.entry, result);
      const row = rows.get(`request ${result.entry}`);
      if (row) badge(row.node, result);
      resulted(result);
    }
    while (list.children.length > KEPT) forget(list.firstElementChild);
    if (sticky) this.end();
    else this.seen();
  },

  end() {
    list.scrollTop = list.scrollHeight;
    this.seen();
  },

  seen() {
    // A list that shrank is not at its end although the user did not scroll.
    sticky = atEnd() || (sticky && height !== list.clientHeight);
    height = list.clientHeight;
    if (sticky) unseen = 0;
    put($("newer"), unseen === 1 ? "1 new ↓" : `${unseen} new ↓`);
    toggle($("newer"), unseen > 0);
    toggle($("empty"), ![...list.children].some((node) => !node.hidden));
  },
};

const order = (view) => entryTime(view.entry);

function forget(node) {
  rows.delete(node.dataset.key);
  node.remove();
}

function make(view) {
  meet(view.chat, view.chat_name);
  const node = view.kind === "request" ? request(view) : view.type.startsWith("message.") ? message(view) : notice(view);
  node.dataset.key = key(view);
  node.dataset.entry = view.entry;
  rows.set(key(view), { view, node });
  node.hidden = !fits(view);
  return node;
}

function message(view) {
  const name = view.sender_name || view.sender || "unknown";
  const group = view.type !== "message.friend";
  return el(
    "li",
    { class: view.self ? "message own" : "message" },
    avatar(view.sender ? `friend:${view.sender}` : view.chat, name),
    el(
      "div",
      { class: "body" },
      el("p", { class: "head" }, el("b", {}, foreign(name)), view.self && el("span", { class: "tag" }, "own"), group && chat(view), time(view)),
      text(view, "inbound"),
      note(view),
    ),
    reply(view),
  );
}

function request(view) {
  const node = el(
    "li",
    { class: "message request" },
    el("span", { class: "avatar out", "aria-hidden": "true" }, "↑"),
    el(
      "div",
      { class: "body" },
      el("p", { class: "head" }, el("span", { class: "to" }, "to "), chat(view), el("span", { class: "state", "data-colour": "busy" }, "waiting"), time(view)),
      text(view, "outbound"),
      note(view),
    ),
    reply(view),
  );
  const result = results.get(view.entry);
  if (result) badge(node, result);
  return node;
}

function badge(node, result) {
  const place = node.querySelector(".state");
  place.dataset.colour = result.status === "sent" ? "good" : result.status === "unknown" ? "warn" : "bad";
  put(place, result.status === "sent" ? "✓ sent" : `${result.status} · ${result.code}`);
  place.title = result.detail;
}

function notice(view) {
  const family = view.type.split(".")[0];
  return el(
    "li",
    { class: `notice ${family}` },
    el("span", { class: "dot", "aria-hidden": "true" }),
    el("div", { class: "body" }, el("p", { class: "head" }, el("span", { class: "tag" }, view.type), view.chat && chat(view), time(view)), text(view, "inbound"), note(view)),
  );
}

const note = (view) => view.note && el("p", { class: "bad" }, foreign(view.note));

function chat(view) {
  const name = view.chat_name || nameOf(view.chat) || view.chat;
  return el("button", { class: "chat", title: `Only ${view.chat}`, onclick: () => only(view.chat, name) }, foreign(name));
}

function time(view) {
  const at = view.time ? Date.parse(view.time) : view.at * 1000;
  return el("time", {}, Number.isNaN(at) ? "" : clock(at));
}

function reply(view) {
  if (!view.chat) return "";
  return el("button", { class: "reply", title: `Reply to ${view.chat}`, "aria-label": "Reply", onclick: () => address(view.chat, nameOf(view.chat)) }, "↩");
}

function text(view, stream) {
  const words = foreign(view.text || "", { class: "text" });
  if (!view.length && !tall(view.text)) return words;
  const more = el("button", { class: "more", onclick: () => whole(view, stream, words, more) }, `Show all ${bytes(view.length || view.text.length)}`);
  return el("div", {}, words, more);
}

/** Return whether the box cuts a text. */
const tall = (text) => Boolean(text) && (text.length > 300 || text.split("\n").length > LINES);

async function whole(view, stream, words, more) {
  try {
    if (view.length) put(words, (await get("/api/text", { stream, entry: view.entry })).text);
    words.classList.add("long");
    more.remove();
  } catch (error) {
    put(more, error.message);
  }
}

// --- filters ---

function fits(view) {
  if (filter.chat && view.chat !== filter.chat) return false;
  const kind = view.kind === "request" ? "request" : view.type.split(".")[0];
  if (filter.kind !== "all" && kind !== filter.kind) return false;
  if (!filter.text) return true;
  const haystack = [view.text, view.chat, view.chat_name, view.sender_name, view.sender, view.type, view.id].join("\n");
  return haystack.toLocaleLowerCase().includes(filter.text);
}

function apply() {
  for (const { view, node } of rows.values()) node.hidden = !fits(view);
  put($("empty"), rows.size ? "No event matches the filter." : "No events yet.");
  feed.end();
}

function only(address, name) {
  filter.chat = filter.chat === address ? "" : address;
  toggle($("only"), Boolean(filter.chat));
  replace($("only"), "only ", foreign(name), " ×");
  apply();
}

for (const button of document.querySelectorAll("#filters [data-kind]")) {
  button.addEventListener("click", () => {
    filter.kind = button.dataset.kind;
    for (const other of document.querySelectorAll("#filters [data-kind]")) other.setAttribute("aria-pressed", String(other === button));
    apply();
  });
}
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("only").addEventListener("click", () => only(filter.chat, ""));
$("search").addEventListener("input", () => {
  filter.text = $("search").value.trim().toLocaleLowerCase();
  apply();
});
$("newer").addEventListener("click", () => feed.end());
list.addEventListener("scroll", () => feed.seen(), { passive: true });
// A window that shrinks keeps the last line in view.
new ResizeObserver(() => sticky && feed.end()).observe(list);
