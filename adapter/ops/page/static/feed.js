// The feed: events, requests and their results in one column, the newest last.
import { avatar } from "./contacts.js";
import { $, el, foreign, put, replace, toggle } from "./dom.js";
import { sentence, t } from "./i18n.js";
import { get, post } from "./net.js";
import { address, look, meet, nameOf, resulted } from "./send.js";
import { clock, entryTime, kindOf, short, statusOf } from "./words.js";

const KEPT = 400; // rows; older ones leave the screen
const LINES = 6; // of a text, the height of `.text` in feed.css
const NEAR = 60; // pixels from the end within which the feed follows its end

const rows = new Map(); // "event 1-0" -> {view, node}
const results = new Map(); // entry of a request -> result
const answers = new Map(); // id of a request event -> the newest request on qq:outbound that answers it
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
    answers.clear();
    unseen = 0;
    for (const result of known) results.set(result.entry, result);
    const views = [...once(events, requests), ...requests].sort((a, b) => order(a) - order(b));
    for (const view of requests) noteAnswer(view);
    replace(list, ...views.slice(-KEPT).map(make));
    this.end();
  },

  /** Add what is new. */
  add({ events = [], requests = [], results: fresh = [], skipped = 0 }) {
    if (skipped) list.append(el("li", { class: "gap" }, t("{skipped} events came too fast to be shown", { skipped })));
    for (const view of [...once(events, requests), ...requests].sort((a, b) => order(a) - order(b))) {
      if (rows.has(key(view))) continue;
      const node = make(view);
      list.append(node);
      if (!sticky && !node.hidden) unseen += 1;
      noteAnswer(view);
      if (view.event) answered(view.event);
    }
    for (const result of fresh) {
      results.set(result.entry, result);
      const row = rows.get(`request ${result.entry}`);
      if (row) badge(row.node, result);
      if (row?.view.event) answered(row.view.event);
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
    put($("newer"), t("{n} new ↓", { n: unseen }));
    toggle($("newer"), unseen > 0);
    toggle($("empty"), ![...list.children].some((node) => !node.hidden));
  },
};

const order = (view) => entryTime(view.entry);

/** Leave out events about what was sent (QQBUS_PUBLISH_SENT) if the request is shown. */
function once(events, requests) {
  const shown = new Set(requests.map((view) => view.entry));
  return events.filter(({ request }) => !request || !(shown.has(request) || rows.has(`request ${request}`)));
}

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
  const name = view.sender_name || view.sender || t("unknown sender");
  const group = view.type !== "message.friend";
  return el(
    "li",
    { class: view.self ? "message own" : "message" },
    avatar(view.sender ? `friend:${view.sender}` : view.chat, name),
    el(
      "div",
      { class: "body" },
      el("p", { class: "head" }, el("b", {}, foreign(name)), view.self && el("span", { class: "tag" }, t("own")), group && chat(view), time(view)),
      text(view, "inbound"),
      pictures(view),
      note(view),
    ),
    reply(view),
  );
}

/** Show the pictures of a message. The adapter fetches them; those out of sight wait. */
function pictures(view) {
  if (!view.pictures) return "";
  const images = view.pictures.map((number) => {
    const address = `/api/image?entry=${encodeURIComponent(view.entry)}&number=${number}`;
    const image = el("img", { src: address, alt: t("picture {number}", { number }), loading: "lazy", class: "picture" });
    image.addEventListener("load", () => sticky && feed.end());
    image.addEventListener("error", () => image.replaceWith(el("span", { class: "tag" }, t("picture not available"))));
    return image;
  });
  return el("div", { class: "pictures" }, ...images);
}

function request(view) {
  const node = el(
    "li",
    { class: "message request" },
    el("span", { class: "avatar out", "aria-hidden": "true" }, "↑"),
    el(
      "div",
      { class: "body" },
      el("p", { class: "head" }, el("span", { class: "to" }, does(view)), view.chat && chat(view), el("span", { class: "state", "data-colour": "busy" }, t("waiting")), time(view)),
      text(view, "outbound"),
      note(view),
    ),
    reply(view),
  );
  const result = results.get(view.entry);
  if (result) badge(node, result);
  return node;
}

/** Say what a request does: a message goes to a chat, an operation has a name. */
function does(view) {
  if (view.op === "approve") return t("approve");
  if (view.op === "deny") return t("deny");
  if (view.op === "recall") return t("recall");
  if (view.op === "call") return t("call {action}", { action: view.action });
  return t("to");
}

function badge(node, result) {
  const place = node.querySelector(".state");
  place.dataset.colour = result.status === "sent" ? "good" : result.status === "unknown" ? "warn" : "bad";
  put(place, result.status === "sent" ? `✓ ${t("sent")}` : `${statusOf(result.status)} · ${result.code}`);
  place.title = result.detail;
}

function notice(view) {
  const family = view.type.split(".")[0];
  const words = view.words ? { ...view, text: sentence(view.words.map((one) => t(one)).join(" – ")) } : view;
  const who = view.sender_name && view.chat && el("b", {}, foreign(view.sender_name));
  return el(
    "li",
    { class: `notice ${family}` },
    el("span", { class: "dot", "aria-hidden": "true" }),
    el(
      "div",
      { class: "body" },
      el("p", { class: "head" }, el("span", { class: "tag", title: view.type }, kindOf(view.type)), who, view.chat && chat(view), time(view)),
      text(words, "inbound"),
      family === "request" && view.id && answerable(view),
      note(view),
    ),
  );
}

// --- friend and group requests ---

/** Return the two buttons for a request, or what was answered. */
function answerable(view) {
  const place = el("p", { class: "row answer", "data-event": view.id });
  fillAnswer(place);
  return place;
}

function fillAnswer(place) {
  const event = place.dataset.event;
  const given = answers.get(event);
  const result = given && results.get(given.entry);
  if (given && (!result || result.status === "sent")) {
    const words = given.op === "approve" ? t("approved") : t("denied");
    replace(place, el("span", { class: "state", "data-colour": result ? "good" : "busy" }, result ? `✓ ${words}` : t("waiting")));
    return;
  }
  const button = (op, words) => el("button", { type: "button", "data-op": op, onclick: () => answer(place, event, op) }, words);
  const failed = result && el("span", { class: "bad" }, `${statusOf(result.status)} · ${result.code}`);
  replace(place, button("approve", t("Approve")), button("deny", t("Deny")), failed);
}

async function answer(place, event, op) {
  for (const button of place.querySelectorAll("button")) button.disabled = true;
  const id = `page/${crypto.randomUUID?.() ?? `${Date.now()}-${Math.floor(Math.random() * 1e9)}`}`;
  try {
    await post("/api/answer", { event, op, id });
  } catch (error) {
    fillAnswer(place);
    place.append(el("span", { class: "bad" }, error.message));
  }
}

function noteAnswer(view) {
  if (view.event) answers.set(view.event, view);
}

/** Draw the answer of a request event again. */
function answered(event) {
  for (const place of list.querySelectorAll(".answer")) if (place.dataset.event === event) fillAnswer(place);
}

const note = (view) => view.note && el("p", { class: "bad" }, foreign(view.note));

function chat(view) {
  const name = view.chat_name || nameOf(view.chat) || view.chat;
  return el("button", { class: "chat", title: t("Only {chat}", { chat: view.chat }), onclick: () => only(view.chat, name) }, foreign(name));
}

function time(view) {
  const at = view.time ? Date.parse(view.time) : view.at * 1000;
  return el("time", {}, Number.isNaN(at) ? "" : clock(at));
}

function reply(view) {
  if (!view.chat) return "";
  return el("button", { class: "reply", title: t("Reply to {chat}", { chat: view.chat }), "aria-label": t("Reply"), onclick: () => address(view.chat, nameOf(view.chat)) }, "↩");
}

function text(view, stream) {
  const words = foreign(view.text || "", { class: "text" });
  if (!view.length && !tall(view.text)) return words;
  const more = el("button", { class: "more", onclick: () => whole(view, stream, words, more) }, t("Show all {n} characters", { n: short(view.length || view.text.length) }));
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
  put($("empty"), rows.size ? t("No event matches the filter.") : t("No events yet."));
  feed.end();
}

function only(address, name) {
  filter.chat = filter.chat === address ? "" : address;
  toggle($("only"), Boolean(filter.chat));
  replace($("only"), t("only"), " ", foreign(name), " ×");
  // The send box writes to the chat that is looked at.
  if (filter.chat) look(filter.chat);
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
