// Contacts: search, the three lists, the members of a group; a click on one fills in the send box.
import { $, el, foreign, put, replace, toggle } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./net.js";
import { address, meet, nameOf } from "./send.js";
import { presenceOf } from "./words.js";

const KINDS = { "": t("All"), friends: t("Friends"), groups: t("Groups"), discusses: t("Discussions") };
const QUIET = 400; // milliseconds after the last key before a search

let kind = "";
let chat = ""; // the group whose members are shown
let timer = 0;
let soon = 0;
let turn = 0;

export function contacts() {
  $("contact-search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(searchContacts, QUIET / 2);
  });
  replace(
    $("contact-kinds"),
    ...Object.entries(KINDS).map(([name, words]) =>
      el("button", { type: "button", "data-kind": name, "aria-pressed": String(name === kind), onclick: () => choose(name) }, words),
    ),
  );
}

function choose(name) {
  kind = name;
  chat = "";
  for (const button of $("contact-kinds").children) button.setAttribute("aria-pressed", String(button.dataset.kind === name));
  searchContacts();
}

/** Search again; `later`: in a while, for a change that may concern the lists. */
export function searchContacts(later = false) {
  if (later === true) {
    // A further change does not start the wait again: else steady changes would put the search off for ever.
    soon ||= setTimeout(searchContacts, 5 * QUIET);
    return;
  }
  clearTimeout(soon);
  soon = 0;
  search();
}

async function search() {
  const mine = (turn += 1);
  const query = { q: $("contact-search").value.trim(), ...(kind && { kind }), ...(chat && { chat }) };
  let found;
  try {
    found = await get("/api/contacts", query);
  } catch (error) {
    replace($("contact-rows"), el("li", { class: "hint" }, error.message));
    return;
  }
  if (mine !== turn) return;
  if (!chat && !kind && !query.q) counts(found.counts);
  const rows = found.rows.map(row);
  if (chat) rows.unshift(...membersOf(chat));
  if (!found.rows.length) rows.push(el("li", { class: "hint" }, query.q ? t("No contact matches.") : t("No contacts yet: they are loaded after the login.")));
  const more = found.found - found.rows.length;
  if (more > 0) rows.push(el("li", { class: "hint" }, t("and {more} more: type a name", { more })));
  replace($("contact-rows"), ...rows);
}

/** Head the list of members: the way back, and whose members they are. */
function membersOf(chat) {
  const isGroup = chat.startsWith("group:");
  const back = isGroup ? t("‹ All groups") : t("‹ All discussions");
  return [
    el("li", {}, el("button", { class: "back", onclick: () => choose(isGroup ? "groups" : "discusses") }, back)),
    el("li", { class: "heading" }, el("span", {}, t("Members of"), " ", foreign(nameOf(chat) || chat))),
  ];
}

function counts(numbers) {
  for (const button of $("contact-kinds").children) {
    const name = button.dataset.kind;
    if (name) put(button, `${KINDS[name]} ${numbers[name]}`);
    toggle(button, !name || numbers[name] > 0 || name === kind);
  }
}

function row(one) {
  const name = one.card || one.name || one.nick || "";
  meet(one.address, name);
  const detail = [one.nick !== name && one.nick, one.qq, presenceOf(one.status)].filter(Boolean).join(" · ");
  const members = one.kind === "groups" || one.kind === "discusses";
  return el(
    "li",
    {},
    avatar(one.address, name),
    el(
      "button",
      { class: "who", title: t("Write to {to}", { to: one.address }), onclick: () => address(one.address, name) },
      name ? foreign(name) : el("em", {}, t("no name")),
      el("small", {}, foreign(detail ? `${one.address} · ${detail}` : one.address)),
    ),
    members && el("button", { class: "quiet", onclick: () => open(one.address) }, t("Members")),
  );
}

function open(address) {
  chat = address;
  $("contact-search").value = "";
  searchContacts();
}

const TINTS = 8;

/** Draw a letter on a tint that depends on the address alone. */
export function avatar(chat, name) {
  let sum = 0;
  for (const char of chat) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  const letter = [...(name || chat.split(":").pop() || "?").trim()].find((char) => /[\p{L}\p{N}]/u.test(char)) || "·";
  return el("span", { class: "avatar", "data-tint": sum % TINTS, "aria-hidden": "true" }, letter.toUpperCase());
}
