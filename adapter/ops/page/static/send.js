// The send box: an address, a text, and the result.
import { $, el, foreign, replace } from "./dom.js";
import { t } from "./i18n.js";
import { get, post } from "./net.js";
import { statusOf } from "./words.js";

const waiting = new Map(); // request id -> address
let names = new Map();

export function address(chat, name = "") {
  $("to").value = chat;
  if (name) names.set(chat, name);
  $("text").focus();
  document.body.dataset.tab = "feed";
  for (const tab of $("tabs").children) tab.toggleAttribute("aria-current", tab.dataset.tab === "feed");
}

/** Address the chat that the feed is narrowed to, without taking the focus. */
export function look(chat) {
  $("to").value = chat;
}

/** Return the name of an address, if one was seen. */
export const nameOf = (chat) => names.get(chat) || "";
export const meet = (chat, name) => name && names.set(chat, name);

export function composer() {
  $("send").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  $("text").addEventListener("input", grow);
  let turn = 0;
  $("to").addEventListener("input", async () => {
    const mine = (turn += 1);
    const search = $("to").value.trim();
    if (!search || search.includes(":")) return;
    const { rows } = await get("/api/contacts", { q: search });
    if (mine !== turn) return;
    replace($("known"), ...rows.slice(0, 20).map((row) => el("option", { value: row.address }, row.name || row.address)));
  });
}

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${Math.min(160, $("text").scrollHeight)}px`;
}

async function send() {
  const [to, text] = [$("to").value.trim(), $("text").value];
  if (!to) return say("bad", t("Whom to? Type a name, a number or an address, or press reply on an event."));
  if (!text.trim()) return say("bad", t("Type a message first."));
  // One id for one click: a repeated request is not sent twice.
  const id = `page/${crypto.randomUUID?.() ?? `${Date.now()}-${Math.floor(Math.random() * 1e9)}`}`;
  $("go").disabled = true;
  waiting.set(id, to); // before the request: the result may be quicker than the answer
  say("busy", t("Waiting to be sent to {to}", { to: "{to}" }), to);
  try {
    const answer = await post("/api/send", { to, text, id });
    if (waiting.has(id)) {
      waiting.set(id, answer.to);
      say("busy", t("Waiting to be sent to {to}", { to: "{to}" }), answer.to);
    }
    $("text").value = "";
    grow();
  } catch (error) {
    waiting.delete(id);
    say("bad", error.message);
  } finally {
    $("go").disabled = false;
    $("text").focus();
  }
}

/** Show a result if it is of a message from this page. */
export function resulted(result) {
  const to = waiting.get(result.id);
  if (to === undefined) return;
  waiting.delete(result.id);
  if (result.status === "sent") say("good", t("Sent to {to}", { to: "{to}" }), result.to || to);
  else {
    const detail = result.detail || t("no detail");
    say("bad", `${statusOf(result.status)} (${result.code}): ${detail} – {to}`, to);
  }
}

/** Show a sentence; `{to}` in it stands for the name of an address. */
function say(colour, words, to) {
  const [before, after = ""] = words.split("{to}");
  $("sent").dataset.colour = colour;
  replace($("sent"), before, to && foreign(nameOf(to) || to), after);
}
