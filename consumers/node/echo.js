#!/usr/bin/env node
// Echo in Node: repeats every message in its chat.
//
// Shows all that a worker promises: a group of its own that heals, entries of dead peers are claimed in the
// same loop, the ack follows the answer to the reply's XADD, and the reply's id is made from the event's, so
// that an event handled twice is answered once. Settings: REDIS_URL, QQBUS_PREFIX, and the application's name
// as argument.

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { decode, encode } from "@msgpack/msgpack";
import { ErrorReply, RESP_TYPES, createClient } from "redis";

const application = process.argv[2] ?? "echo-node";
if (application === "--help") {
  console.log("usage: node echo.js [APPLICATION]\nSettings: REDIS_URL, QQBUS_PREFIX, QQBUS_CLAIM_MS (30000)");
  process.exit(0);
}
const prefix = process.env.QQBUS_PREFIX || "qq";
const inbound = `${prefix}:inbound`;
const consumer = `${hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`;
const CLAIM_MS = Number(process.env.QQBUS_CLAIM_MS || 30_000);
const BLOCK_MS = 500;
const MOST_DELIVERIES = 5;

// The address of the embedded server, which the adapter writes for programs of its user.
function embeddedUrl() {
  const home = process.env.XDG_STATE_HOME || `${homedir()}/.local/state`;
  try {
    return readFileSync(`${process.env.QQBUS_STATE_DIR || `${home}/qqbus`}/redis/url`, "utf8").trim();
  } catch {
    return "redis://127.0.0.1:6379";
  }
}

const options = {
  url: process.env.REDIS_URL || embeddedUrl(),
  // A command whose answer is lost is not repeated by the client: this loop knows which ones may be.
  disableOfflineQueue: true,
  socket: { reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 2_000) },
};
const client = createClient(options);
client.on("error", (error) => console.error(`Redis does not serve: ${error.message}`));
// Bodies are bytes; everything else is turned into text where it is used.
const bytes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
const words = (line) => line.map((part) => (Buffer.isBuffer(part) ? part : String(part)));
const run = (...line) => client.sendCommand(words(line), bytes);

// Add an entry, then acknowledge the event that it comes from. Two steps: in a MULTI an XADD that fails would
// leave its XACK done. An event whose ack is lost is handled again, and the reply's id makes that harmless.
async function addAndAck(stream, fields, id) {
  await run("XADD", stream, "*", ...fields);
  await run("XACK", inbound, application, id);
}

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => (stopping = true));

async function makeGroup() {
  try {
    await run("XGROUP", "CREATE", inbound, application, "0", "MKSTREAM");
  } catch (error) {
    if (!String(error.message).startsWith("BUSYGROUP")) throw error;
  }
}

function eventOf(flat) {
  const event = {};
  for (let i = 0; i < flat.length; i += 2) event[String(flat[i])] = flat[i + 1];
  return event;
}

// What can be sent is sent as it came; the rest is said in words.
function sendable({ type, data }) {
  if (type === "text" || type === "face") return { type, data };
  return { type: "text", data: { text: type === "image" ? "[图片]" : "[未识别内容]" } };
}

function replyTo(event) {
  const kind = String(event.type ?? "");
  if (!kind.startsWith("message.") || String(event.self) === "1") return null;
  const segments = (decode(event.body, { useBigInt64: true }).segments ?? []).map(sendable);
  const id = String(event.id);
  return [
    ...["to", event.chat, "body", Buffer.from(encode({ segments }, { useBigInt64: true }))],
    ...["id", `${application}/${id}`, "cause", id],
  ];
}

// Bytes that a dead letter keeps of one field: the rest is known by the whole length and a digest.
const MAX_FIELD = 64 * 1024;

async function bury(id, flat, deliveries, reason, detail) {
  const pairs = Object.entries(eventOf(flat));
  const head = (value) => Uint8Array.from(value.subarray(0, MAX_FIELD));
  const fields = Object.fromEntries(pairs.map(([name, value]) => [name, head(value)]));
  const cut = (value) => ({
    bytes: value.length,
    sha256: createHash("sha256").update(value.subarray(MAX_FIELD)).digest("hex"),
  });
  const long = pairs.filter(([, value]) => value.length > MAX_FIELD);
  const clipped = { fields: Object.fromEntries(long.map(([name, value]) => [name, cut(value)])), omitted: 0 };
  const letter = [
    ...["v", "1", "time", new Date().toISOString(), "stream", inbound, "entry", id, "group", application],
    ...["consumer", consumer, "reason", reason, "detail", detail.slice(0, 500), "attempts", String(deliveries)],
    ...["fields", Buffer.from(encode(fields))],
    ...(long.length ? ["clipped", JSON.stringify(clipped)] : []),
  ];
  await addAndAck(`${prefix}:dead`, letter, id);
}

// The handler failed. The event stays pending and is claimed again; after a few times it goes to the dead letters.
async function fail(id, flat, error) {
  const [row] = await run("XPENDING", inbound, application, id, id, "1");
  const deliveries = row ? Number(row[3]) : MOST_DELIVERIES;
  console.error(`event ${id} failed, try ${deliveries}: ${error.message}`);
  if (deliveries >= MOST_DELIVERIES) await bury(id, flat, deliveries, "handler.failed", error.message);
}

async function each(entries) {
  for (const [rawId, flat] of entries) {
    const id = String(rawId);
    let reply;
    try {
      reply = flat?.length ? replyTo(eventOf(flat)) : null;
    } catch (error) {
      await fail(id, flat, error);
      continue;
    }
    if (reply) await addAndAck(`${prefix}:outbound`, reply, id);
    else await run("XACK", inbound, application, id);
  }
}

// Redis refuses or is away: the loop tries again. Everything else is a mistake of this program and ends it.
const isRedis = (error) =>
  error instanceof ErrorReply ||
  /client is (closed|offline)|Socket|ECONN|disconnect|timeout|abort/i.test(`${error.name} ${error.message}`) ||
  "code" in error;

// RESP2 answers [[stream, entries]].
const entriesOf = (answer) => (answer ? answer[0][1] : []);

async function claim() {
  const answer = await run("XAUTOCLAIM", inbound, application, consumer, CLAIM_MS, "0", "COUNT", "100");
  await each(answer[1].filter((entry) => entry && entry[1]));
}

async function main() {
  let recovered = false;
  let looked = 0;
  let tries = 0;
  await client.connect();
  console.log(`echo-node reads ${inbound} as ${application}/${consumer}`);
  while (!stopping) {
    try {
      if (!recovered) {
        // An answer may have been lost on the way: its entries are in the own pending list.
        await makeGroup();
        await each(entriesOf(await run("XREADGROUP", "GROUP", application, consumer, "STREAMS", inbound, "0")));
        recovered = true;
      }
      if (Date.now() - looked > CLAIM_MS / 3) {
        looked = Date.now();
        await claim();
      }
      const line = ["XREADGROUP", "GROUP", application, consumer, "COUNT", "100", "BLOCK", BLOCK_MS];
      await each(entriesOf(await run(...line, "STREAMS", inbound, ">")));
      tries = 0;
    } catch (error) {
      if (!isRedis(error)) throw error;
      if (error instanceof ErrorReply) console.error(`Redis refuses: ${error.message}`);
      recovered = false;
      await new Promise((done) => setTimeout(done, Math.min(50 * 2 ** tries++, 2_000)));
    }
  }
  client.destroy();
}

await main();
