// The hub's page: devices with their lamps, and live values over one authenticated stream.
//
// Everything that came from elsewhere is put in as text. The access token lives in memory only; the one-time login
// token comes in the fragment, which no server and no log sees, and is taken out of the address at once.
"use strict";

const RETRY_MS = [1000, 2000, 5000, 10000, 30000];
const LIST_MS = 5000;
const SILENT_MS = 45000;
const MOST_VALUES = 400;

const page = { devices: document.getElementById("devices"), line: document.getElementById("line"), leave: document.getElementById("leave") };
const cards = new Map();
let session = null;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => { page.line.textContent = text; };

function element(name, text, ...classes) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  made.classList.add(...classes.filter(Boolean));
  return made;
}

// --- the session

async function open(path, body) {
  const options = { method: "POST", credentials: "same-origin", headers: { "content-type": "application/json" } };
  const answer = await fetch(path, { ...options, body: JSON.stringify(body) });
  if (!answer.ok) return answer.status;
  session = await answer.json();
  session.until = Date.now() + (session.expires_in - 60) * 1000;
  page.leave.hidden = false;
  return 200;
}

async function logIn() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname);
    if ((await open("/api/v1/auth/login", { token })) === 200) return true;
  }
  return (await open("/api/v1/auth/refresh", {})) === 200;
}

let renewal = null;
async function bearer() {
  if (Date.now() > session.until) {
    // One renewal at a time: the cookie is good once.
    renewal = renewal || open("/api/v1/auth/refresh", {}).finally(() => { renewal = null; });
    if ((await renewal) === 401) leave("Your session has ended. Ask for a new login link.");
  }
  return { authorization: `Bearer ${session.access_token}` };
}

async function ask(path, options = {}) {
  const headers = { ...(await bearer()), ...options.headers };
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) session.until = 0;
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
  return answer;
}

function leave(text) {
  session = null;
  cards.clear();
  page.devices.replaceChildren();
  page.leave.hidden = true;
  say(text);
  throw new Error(text);
}

page.leave.addEventListener("click", async () => {
  await fetch("/api/v1/auth/logout", { method: "POST", credentials: "same-origin" });
  location.reload();
});

// --- devices

function cardOf(id) {
  const known = cards.get(id);
  if (known) return known;
  const card = { root: element("article"), state: element("span", "", "state"), seen: element("p", "", "quiet"), lamps: element("ul"), rows: new Map() };
  const head = element("div");
  head.append(element("h2", id), card.state);
  const table = element("table");
  card.values = element("tbody");
  table.append(card.values);
  card.root.append(head, card.seen, card.lamps);
  if (session.role === "admin") card.root.append(echoButton(id));
  card.root.append(table);
  cards.set(id, card);
  page.devices.append(card.root);
  return card;
}

function echoButton(id) {
  const button = element("button", "Ask for an echo");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const path = `/api/v1/devices/${encodeURIComponent(id)}/instructions`;
      const body = JSON.stringify({ type: "echo", args: { text: "hello" }, expires_in: 60 });
      const sent = await (await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
      const ends = new Set(["done", "failed", "refused", "expired", "unknown", "cancelled"]);
      for (let tries = 0; tries < 30; tries += 1) {
        await pause(1000);
        const { instructions } = await (await ask(path)).json();
        const found = instructions.find((one) => one.id === sent.id);
        button.textContent = `Echo: ${found.state}`;
        if (ends.has(found.state)) break;
      }
    } catch (error) {
      button.textContent = `Echo: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

function showDevice(device, now) {
  const card = cardOf(device.id);
  card.state.textContent = device.twin ? `${device.state}, twin` : device.state;
  card.state.className = `state ${device.twin ? "twin" : device.state}`;
  const seconds = device.last_seen === null ? null : Math.max(0, Math.round((now - device.last_seen) / 1000));
  card.seen.textContent = seconds === null ? "never seen" : `seen ${seconds} s ago`;
  card.lamps.replaceChildren(...device.lamps.map((lamp) => {
    const row = element("li", `${lamp.part}: ${lamp.state}`, lamp.state);
    if (lamp.note) row.append(element("span", ` ${lamp.note}`, "quiet"));
    return row;
  }));
}

async function list() {
  const { devices, hub_time: now } = await (await ask("/api/v1/devices")).json();
  const ids = new Set(devices.map((device) => device.id));
  for (const [id, card] of cards) if (!ids.has(id)) { card.root.remove(); cards.delete(id); }
  if (devices.length > 0 && cards.size === 0) page.devices.replaceChildren();
  for (const device of devices) showDevice(device, now);
  if (devices.length === 0) page.devices.replaceChildren(element("p", "No device yet.", "quiet"));
}

function shown(value, unit, reason) {
  if (value === null) return reason || "unknown";
  const text = Number.isInteger(value) ? String(value) : value.toPrecision(5);
  return unit === "1" ? text : `${text} ${unit}`;
}

function showTick(tick) {
  const card = cards.get(tick.device);
  if (!card) return;
  for (const [name, attributes, unit, value, reason] of tick.readings) {
    const written = Object.keys(attributes).sort().map((key) => `${key}=${attributes[key]}`).join(" ");
    const key = `${tick.collector} ${name} ${written}`;
    let row = card.rows.get(key);
    if (!row) {
      if (card.rows.size >= MOST_VALUES) continue;
      const line = element("tr");
      const label = element("td", name);
      if (written) label.append(element("span", ` ${written}`, "quiet"));
      row = { cell: element("td"), axis: "", at: -Infinity };
      line.append(label, row.cell);
      card.rows.set(key, row);
      card.values.append(line);
    }
    // The same tick comes live and again with its batch: axis times tell which is newer.
    if (row.axis === tick.axis && tick.at <= row.at) continue;
    row.axis = tick.axis;
    row.at = tick.at;
    row.cell.textContent = shown(value, unit, reason);
  }
}

// --- the stream

async function* eventsOf(answer, alive) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      const name = lines.find((line) => line.startsWith("event: "));
      if (name && data) yield { name: name.slice(7), data: JSON.parse(data) };
    }
  }
}

async function follow() {
  const stop = new AbortController();
  let timer = 0;
  const alive = () => { clearTimeout(timer); timer = setTimeout(() => stop.abort(), SILENT_MS); };
  alive();
  try {
    const answer = await ask("/api/v1/telemetry/stream", { signal: stop.signal });
    trouble(follow, "");
    for await (const event of eventsOf(answer, alive)) {
      if (event.name === "telemetry") showTick(event.data);
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

const troubles = new Map();
function trouble(work, text) {
  troubles.set(work, text);
  say([...troubles.values()].find((one) => one) || "live");
}

async function forever(work, between) {
  let failures = 0;
  while (session) {
    const began = Date.now();
    try {
      await work();
      trouble(work, "");
      failures = 0;
    } catch (error) {
      if (!session) return;
      if (Date.now() - began > 60000) failures = 0;
      trouble(work, `no contact: ${error.message}`);
      await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] * (0.5 + Math.random() / 2));
      failures += 1;
      continue;
    }
    await pause(between);
  }
}

async function main() {
  try {
    if (!(await logIn())) { say("Open the login link that the hub printed; `edge-agent hub token` makes a new one."); return; }
  } catch (error) {
    say(`no contact: ${error.message}`);
    return;
  }
  forever(list, LIST_MS);
  forever(follow, 1000);
}

main();
