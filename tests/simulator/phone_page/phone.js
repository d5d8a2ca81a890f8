// Everybody's phones on one page. The account's own words are on the left, whoever you play is on the right.

import { t, translatePage } from "./texts.js";

const $ = (id) => document.getElementById(id);
const FACES = { 微笑: "🙂", 呲牙: "😁", 大哭: "😭", 调皮: "😜", 得意: "😎", 害羞: "☺️", 惊讶: "😮", 发怒: "😠", 强: "👍", 弱: "👎", 爱心: "❤️", 玫瑰: "🌹", 咖啡: "☕", 蛋糕: "🎂", 月亮: "🌙", 太阳: "☀️", 抱拳: "🙏", 握手: "🤝", 胜利: "✌️", OK: "👌" };
const PICKED = ["微笑", "呲牙", "调皮", "大哭", "惊讶", "强", "爱心", "玫瑰"];
const KEPT = 400;

let me = { qq: 0, nick: "" };
let chats = new Map(); // name of the chat -> {chat, name, detail, members, last, time, unread, messages}
let open = "";
let key = "";

function el(name, given = {}, ...children) {
  const node = document.createElement(name);
  for (const [attribute, value] of Object.entries(given)) {
    if (attribute.startsWith("on")) node.addEventListener(attribute.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(attribute, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child || child === 0));
  return node;
}

const foreign = (text) => el("bdi", { dir: "auto" }, text);

async function ask(path, body) {
  const response = await fetch(path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `status ${response.status}`);
  return answer;
}

// --- who there is ---

async function meet() {
  const world = await ask("/sim/world");
  me = world.me;
  paintFace($("owner-face"), me.nick, "me");
  $("owner-name").textContent = me.nick;
  $("owner-number").textContent = t("{qq} · the account", { qq: me.qq });
  const known = chats;
  chats = new Map();
  for (const one of world.friends) add(known, `friend:${one.qq}`, one.mark || one.nick || t("(no name)"), [one.nick !== one.mark && one.nick, one.qq, t(one.status)].filter(Boolean).join(" · "), []);
  for (const one of world.groups) add(known, `group:${one.number}`, one.name, t("group {number}", { number: one.number }), one.members);
  for (const one of world.discussions) add(known, `discuss:${one.number}`, one.name, t("discussion"), one.members);
  if (!chats.has(open)) choose(chats.keys().next().value, false);
  list();
}

function add(known, chat, name, detail, members) {
  const fresh = { messages: [], last: "", time: 0, unread: 0 };
  chats.set(chat, { ...fresh, ...known.get(chat), chat, name, detail, members });
}

function nameOf(chat, qq) {
  if (qq === me.qq) return me.nick;
  const member = chats.get(chat)?.members.find((one) => one.qq === qq);
  return member?.card || member?.nick || chats.get(`friend:${qq}`)?.name || String(qq);
}

function paintFace(node, name, tint) {
  node.textContent = ([...name].find((char) => /[\p{L}\p{N}]/u.test(char)) || "·").toUpperCase();
  let sum = 0;
  for (const char of String(tint)) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  node.style.setProperty("--hue", tint === "me" ? 212 : (sum * 47) % 360);
  return node;
}

// --- the list ---

function list() {
  const find = $("find").value.trim().toLocaleLowerCase();
  const shown = [...chats.values()].filter((one) => `${one.name} ${one.detail}`.toLocaleLowerCase().includes(find));
  shown.sort((a, b) => b.time - a.time);
  $("chats").replaceChildren(...shown.map(entry));
}

function entry(one) {
  return el(
    "li",
    {},
    el(
      "button",
      { "data-chat": one.chat, "aria-current": String(one.chat === open), onclick: () => choose(one.chat) },
      paintFace(el("span", { class: one.members.length ? "face room" : "face", "aria-hidden": "true" }), one.name, one.chat),
      el("span", { class: "who" }, el("b", {}, foreign(one.name)), el("small", {}, foreign(one.last.slice(0, 80) || one.detail))),
      el("span", { class: "when" }, one.time > 0 && clock(one.time), one.unread > 0 && el("em", {}, one.unread)),
    ),
  );
}

function choose(chat, show = true) {
  const one = chats.get(chat);
  if (!one) return;
  open = chat;
  one.unread = 0;
  document.body.classList.toggle("talking", show);
  paintFace($("peer-face"), one.name, one.chat);
  $("peer").replaceChildren(foreign(one.name));
  $("peer-detail").textContent = one.members.length ? `${one.detail} · ${t("{n} members", { n: one.members.length })}` : one.detail;
  const others = one.members.filter((member) => member.qq !== me.qq);
  $("as").hidden = !others.length;
  $("speaker").replaceChildren(...others.map((member) => el("option", { value: member.qq }, member.card || member.nick || member.qq)));
  $("talk").replaceChildren(...one.messages.map(bubble));
  if (!one.messages.length) $("talk").append(el("li", { class: "note" }, t("Say something to {me} as {who}.", { me: me.nick, who: others.length ? t("one of the members") : one.name })));
  $("talk").scrollTop = $("talk").scrollHeight;
  if (show) $("text").focus();
  list();
}

// --- the conversation ---

function bubble(message) {
  const own = message.sender === me.qq;
  const name = nameOf(open, message.sender);
  return el(
    "li",
    { class: own ? "left" : "right" },
    paintFace(el("span", { class: own ? "face me" : "face", "aria-hidden": "true" }), name, own ? "me" : message.sender),
    el("div", {}, el("small", {}, foreign(name), ` ${clock(message.time)}`), el("p", { class: "bubble" }, foreign(faced(message.text)))),
  );
}

const faced = (text) => text.replace(/\[([^\][]{1,20})\]/gu, (whole, name) => FACES[name] || whole);
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function hear(message) {
  const one = chats.get(message.chat);
  if (!one) return;
  one.messages.push(message);
  if (one.messages.length > KEPT) one.messages.shift();
  one.last = message.text.slice(0, 200);
  one.time = message.time;
  if (message.chat !== open) {
    one.unread += message.sender === me.qq ? 1 : 0;
    return;
  }
  $("talk").querySelector(".note")?.remove();
  $("talk").append(bubble(message));
  $("talk").scrollTop = $("talk").scrollHeight;
}

async function write() {
  const text = $("text").value;
  if (!text.trim() || !open) return;
  const sender = $("as").hidden ? {} : { sender: Number($("speaker").value) };
  if (await attempt("say", { chat: open, text, ...sender })) $("text").value = "";
  $("text").focus();
}

async function attempt(what, body = {}) {
  $("trouble").hidden = true;
  try {
    await ask(`/sim/${what}`, body);
    return true;
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    return false;
  }
}

// --- the login ---

const WORDS = {
  offline: t("not logged in"),
  waiting: t("code on screen"),
  scanned: t("asks you"),
  confirmed: t("logging in"),
  refused: t("refused"),
  expired: t("code expired"),
  online: t("online"),
};
const ASKED = { waiting: t("A computer shows a code. Point the camera at it."), scanned: t("SmartQQ wants to log in on a computer. Is that you?") };

function login(state) {
  $("state").textContent = WORDS[state] || state;
  $("state").dataset.state = state;
  $("scan").hidden = !ASKED[state];
  $("scan-words").textContent = ASKED[state] || "";
  $("scan-waiting").hidden = state !== "waiting";
  $("scan-scanned").hidden = state !== "scanned";
  $("tricks").hidden = state !== "online";
  if (state === "waiting") $("code").src = `/sim/code?${encodeURIComponent(key)}`;
}

// --- what happens ---

async function follow() {
  let state = "";
  for (;;) {
    try {
      const news = await ask(`/sim/phone?key=${encodeURIComponent(key)}&wait=1`);
      const fresh = news.key !== key;
      key = news.key;
      if (news.state === "online" && state !== "online") await meet();
      for (const message of news.messages) hear(message);
      if (news.messages.length) list();
      if (fresh) login(news.state);
      state = news.state;
    } catch {
      $("state").textContent = t("simulator gone");
      $("state").dataset.state = "gone";
      state = "";
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => attempt(button.dataset.do));
for (const name of PICKED) {
  $("faces").append(el("button", { type: "button", title: name, onclick: () => $("text").setRangeText(`[${name}]`, $("text").selectionStart, $("text").selectionEnd, "end") }, FACES[name]));
}
$("find").addEventListener("input", list);
$("back").addEventListener("click", () => document.body.classList.remove("talking"));
$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  write();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    write();
  }
});

new ResizeObserver(() => ($("talk").scrollTop = $("talk").scrollHeight)).observe($("talk"));

translatePage($("language"));
await meet();
follow();
