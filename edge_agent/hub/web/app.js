// The hub's page: who is there, how each part of a device is, and what its sensors say now.
// Data flow:
//   the one-time token in the address, else the refresh cookie -> an access token, kept in memory only
//   every 5 s   /api/v1/devices           -> a card a device: state, lamps, when it was seen; how the hub's store is
//   one stream  /api/v1/telemetry/stream  -> values of the cards that are open, as they come
//   as needed   /api/v1/series            -> which series are counters: those get a rate
//   every 1 s   the clock                 -> ages; what is too old is drawn grey
//
// The stream names the open cards only, and stands only while the page can be seen: what nobody sees costs devices
// nothing. Whatever came from elsewhere is put in as text; elements are clones of the document's templates. Not here:
// history (`/api/v1/query`), settings, anything kept in the browser, more than 100 devices at a time.
"use strict";

const RETRY_MS = [500, 1000, 2000, 5000, 10000];
const MS = { list: 5000, silent: 35000, old: 10000 };
const MOST = { points: 60, unasked: 4, followed: 100, rows: 600, unfolded: 16 };

const byId = (id) => document.getElementById(id);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const cards = new Map();
let token = new URLSearchParams(location.hash.slice(1)).get("token");
let session = { until: 0 }; // null after the end
let ahead = 0; // the hub's clock minus this one, in ms
const hubNow = () => Date.now() + ahead;

function kept(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

// An unchanged text is not written again, so that what people have selected stays selected.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function showLink(state, text) {
  byId("link").className = `lamp quiet ${state}`;
  write(byId("link"), text);
}

// --- the session
function checked(answer) {
  if (!answer.ok) throw Object.assign(new Error(`the hub answered ${answer.status}`), { status: answer.status });
  return answer;
}

const asJson = { "content-type": "application/json" };
const posted = (body) => ({ method: "POST", headers: asJson, body: JSON.stringify(body) });

async function enter(path, secret) {
  // Kept alive: a reload must not cut off the answer that brings the next cookie, since each is good once.
  const answer = await fetch(path, { ...posted(secret), keepalive: true });
  if (answer.status === 401) return false;
  session = await checked(answer).json();
  session.until = Date.now() + (session.expires_in - 60) * 1000;
  token = "";
  return true;
}

async function logIn() {
  const refresh = () => enter("/api/v1/auth/refresh", {});
  if (token && (await enter("/api/v1/auth/login", { token }))) return;
  // A link that was used already may be the one that began this browser's session. Tabs share the cookie and take
  // turns, where the browser has locks (over TLS and on this machine).
  if (await (navigator.locks ? navigator.locks.request("refresh", refresh) : refresh())) return;
  const why = token ? "This login link was used already, or is too old." : "You are not logged in.";
  leave(session.role ? "Your session has ended." : why);
}

let entry = null;
async function ask(path, options = {}) {
  if (Date.now() > session.until) await (entry = entry || logIn().finally(() => { entry = null; }));
  if (!session) throw new Error("not logged in");
  const headers = { ...options.headers, authorization: `Bearer ${session.access_token}` };
  return checked(await fetch(path, { signal: AbortSignal.timeout(MS.silent), cache: "no-store", ...options, headers }));
}

const askJson = async (path, options) => (await ask(path, options)).json();

function leave(why) {
  session = null;
  cards.clear();
  turn();
  byId("devices").replaceChildren();
  byId("leave").hidden = true;
  byId("gate").hidden = false;
  write(byId("why"), why);
  write(byId("port"), location.port || "443");
  showLink("", "not logged in");
}

// --- values as people write them
const RATIO = /(utilization|ratio|charge|fraction)$/;
const SCALED = /^(Hz|W|V|A|J|Wh|bit|Ohm)(\/s)?$/;
const DECIMAL = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"]];
const BINARY = [[2 ** 40, "Ti"], [2 ** 30, "Gi"], [2 ** 20, "Mi"], [2 ** 10, "Ki"]];
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"]];
const places = (n) => new Intl.NumberFormat("en", { minimumFractionDigits: n, maximumFractionDigits: n });
const formats = [places(0), places(1), places(2)];

function number(raw) {
  const value = Number(raw.toPrecision(12)); // 0.82 s are 820 ms, not 820.0
  const size = Math.abs(value);
  if (value !== 0 && (size < 0.01 || size >= 1e12)) return value.toPrecision(3);
  return formats[Number.isInteger(value) || size >= 1000 ? 0 : size < 10 ? 2 : 1].format(value);
}

function scaled(value, steps, unit) {
  const [size, prefix] = steps.find(([least]) => Math.abs(value) >= least) || [1, ""];
  return `${number(value / size)} ${prefix}${unit}`;
}

function shown(value, ucum, name) {
  // What is counted, as in `{packet}`, the name says already.
  const unit = ucum.replace(/\{[^}]*\}/g, "").replace(/^1?\//, "/");
  if ((unit === "1" && RATIO.test(name)) || unit === "s/s") return `${formats[1].format(value * 100)} %`;
  if (unit === "Cel") return `${formats[1].format(value)} °C`;
  if (unit === "J/s") return scaled(value, DECIMAL, "W");
  if (unit === "By" || unit === "By/s") return scaled(value, BINARY, unit.replace("By", "B"));
  if (unit === "s") return Math.abs(value) < 60 ? scaled(value, DECIMAL, "s") : scaled(value, SPANS, "");
  if (SCALED.test(unit)) return scaled(value, DECIMAL, unit);
  return unit === "1" || unit === "" ? number(value) : `${number(value)} ${unit}`;
}

function age(ms) {
  if (ms < 2000) return "now";
  const [size, unit] = SPANS.find(([least]) => ms >= least * 1000) || [1, "s"];
  return `${Math.floor(ms / 1000 / size)} ${unit} ago`;
}

// `cpu.logical_number=0 cpu.mode=user` is `cpu 0 · user`: a word speaks for itself, a number needs its key.
function worded(attributes) {
  return Object.keys(attributes).sort().map((key) => {
    const noun = key.replace(/\.(logical_number|number|index)$/, "").split(".").pop();
    return /^\d*$/.test(attributes[key]) ? `${noun} ${attributes[key]}` : attributes[key];
  }).join(" · ");
}

// Long names may break after a dot or an underscore, and are still copied as they are.
function spell(node, name) {
  node.replaceChildren(...name.split(/(?<=[._])/).flatMap((part) => [part, document.createElement("wbr")]));
}

// A line over the last values, newest at the right edge, broken where nothing was known. Ratios are drawn from 0 to 1;
// others over their own range, but never so close that noise below 2 % looks like news.
function drawn(points, isRatio) {
  const known = points.filter(Number.isFinite);
  const [low, high] = isRatio ? [0, 1] : [Math.min(...known), Math.max(...known)];
  const span = Math.max(high - low, Math.abs(high) * 0.02) || 1;
  return points.map((value, index) => {
    if (!Number.isFinite(value)) return "";
    const pen = Number.isFinite(points[index - 1]) ? "L" : "M";
    return `${pen}${index + MOST.points - points.length} ${(8 - (14 * (value - (low + high) / 2)) / span).toFixed(1)}`;
  }).join("");
}

// --- devices
function newCard(device) {
  const root = clone("device");
  const card = { root, device, rows: new Map(), collectors: new Map(), said: "" };
  const parts = ["state", "seen", "facts", "lamps", "echo", "note", "groups"];
  for (const part of parts) card[part] = root.querySelector(`.${part}`);
  write(root.querySelector("h2"), device.id);
  root.open = device.state !== "offline" && opened().length < MOST.unasked;
  root.addEventListener("toggle", turn);
  card.echo.hidden = session.role !== "admin";
  card.echo.addEventListener("click", () => echo(device.id, card.echo));
  byId("devices").append(root);
  return card;
}

// The way down and back, tried by hand: an instruction that does nothing but answer.
async function echo(id, button) {
  button.disabled = true;
  try {
    const path = `/api/v1/devices/${encodeURIComponent(id)}/instructions`;
    const sent = await askJson(path, posted({ type: "echo", args: { text: "hello" }, expires_in: 60 }));
    for (let state = "queued"; ["queued", "sent", "received", "running"].includes(state); await pause(500)) {
      state = (await askJson(path)).instructions.find((one) => one.id === sent.id).state;
      write(button, `Echo: ${state}`);
    }
  } catch (error) {
    write(button, `Echo: ${error.message}`);
  }
  button.disabled = false;
}

function showDevice(device) {
  const card = kept(cards, device.id, () => newCard(device));
  card.device = device;
  const { "device.id": _, "host.name": host, "host.arch": arch, "os.version": system, ...labels } = device.resource;
  write(card.facts, [host, arch, system, ...Object.values(labels)].filter(Boolean).join(" · "));
  write(card.state, device.twin ? `${device.state}, twin: two machines use this name` : device.state);
  card.state.className = `state lamp ${device.twin ? "twin" : device.state}`;
  const lamps = JSON.stringify(device.lamps);
  if (lamps !== card.said) card.lamps.replaceChildren(...lampsOf(device));
  card.lamps.classList.toggle("past", device.state !== "online");
  card.said = lamps;
}

function lampsOf(device) {
  const worst = ["fail", "warn", "ok"];
  return [...device.lamps].sort((a, b) => worst.indexOf(a.state) - worst.indexOf(b.state)).map((lamp) => {
    const item = clone("lamp");
    item.classList.add(lamp.state);
    write(item.querySelector(".part"), lamp.part.replace(/^collector\./, ""));
    write(item.querySelector(".word"), ` ${lamp.state}${lamp.note ? `: ${lamp.note}` : ""}`);
    item.title = item.textContent;
    return item;
  });
}

async function list() {
  const { devices, store, hub_time: now } = await askJson("/api/v1/devices");
  ahead = now - Date.now();
  const since = new Date(store.since).toLocaleString();
  troubles.set("store", store.state !== "ok" && `the hub's store is ${store.state} since ${since}: ${store.note}`);
  byId("none").hidden = devices.length > 0;
  byId("leave").hidden = false;
  const ids = new Set(devices.map((device) => device.id));
  for (const [id, { root }] of cards) if (!ids.has(id) && cards.delete(id)) root.remove();
  devices.forEach(showDevice);
  turn();
  for (const card of opened()) await learnKinds(card);
}

// Ticks do not say what is a counter; the catalogue does, once the first batch with a series was stored.
async function learnKinds(card) {
  if (!card.device.resource["device.id"] || [...card.rows.values()].every((row) => row.kind)) return;
  const { series } = await askJson(`/api/v1/series?device=${encodeURIComponent(card.device.id)}`);
  for (const { collector, name, attributes, kind } of series) {
    const row = card.rows.get(keyOf(collector, name, attributes));
    if (!row || row.kind) continue;
    row.root.classList.add(kind);
    Object.assign(row, { kind, points: kind === "counter" ? [] : row.points });
  }
}

// --- readings
const keyOf = (collector, name, attributes) => JSON.stringify([collector, name, Object.entries(attributes).sort()]);

function newGroup(card, collector) {
  const root = clone("group");
  write(root.querySelector(".name"), collector);
  card.groups.append(root);
  return { root, age: root.querySelector(".age"), blocks: new Map(), axis: "", at: 0, ts: -Infinity };
}

function newRow(group, name, attributes) {
  const root = clone("row");
  const [label, side, , main] = root.children;
  const words = worded(attributes);
  spell(label, words || name);
  label.title = [name, ...Object.entries(attributes).map((pair) => pair.join("="))].join(" ");
  (words ? blockOf(group, name) : group.root).append(root);
  const last = { axis: "", at: -Infinity, ts: -Infinity, every: 0, value: null };
  return { root, group, side, main, path: root.querySelector("path"), ...last, kind: "", points: [] };
}

// The rows of one name, below it. Very many fold themselves away: 12 cores times 7 modes is no view.
function blockOf(group, name) {
  const block = kept(group.blocks, name, () => group.root.appendChild(clone("block")));
  const rows = block.children.length; // with the one to come, without the heading
  spell(block.firstElementChild, rows > MOST.unfolded ? `${name} (${rows})` : name);
  if (rows === MOST.unfolded + 1) block.open = false;
  return block;
}

function showTick(tick) {
  const card = cards.get(tick.device);
  if (!card || (!tick.readings.length && !card.collectors.has(tick.collector))) return;
  const group = kept(card.collectors, tick.collector, () => newGroup(card, tick.collector));
  const ts = tick.ts === null ? hubNow() : tick.ts;
  for (const [name, attributes, unit, value, reason] of tick.readings) {
    const key = keyOf(tick.collector, name, attributes);
    if (!card.rows.has(key) && card.rows.size >= MOST.rows) continue;
    const row = kept(card.rows, key, () => newRow(group, name, attributes));
    if (isNews(row, tick, ts)) showReading(row, tick, ts, { name, unit, value, reason });
  }
  write(card.note, card.rows.size < MOST.rows ? "" : `No more than ${MOST.rows} series are shown.`);
  if (isNews(group, tick, ts)) Object.assign(group, { axis: tick.axis, at: tick.at, ts });
}

// The same tick comes live and again with its batch, and an earlier boot's backlog may come after this boot's values:
// within one axis its own time decides, between two the hub's.
const isNews = (last, tick, ts) => (last.axis === tick.axis ? tick.at > last.at : ts >= last.ts);

function showReading(row, tick, ts, { name, unit, value, reason }) {
  const every = row.axis === tick.axis ? tick.at - row.at : NaN;
  // A counter that fell began anew: no rate is known.
  const rate = value === null || row.value === null || value < row.value ? NaN : (value - row.value) / (every / 1000);
  write(row.main, value === null ? reason || "unknown" : shown(value, unit, name));
  write(row.side, row.kind === "counter" && rate >= 0 ? shown(rate, `${unit}/s`, name) : "");
  row.root.classList.toggle("absent", value === null);
  if (every > oldAfter(row)) row.points.push(NaN);
  row.points = [...row.points, row.kind === "counter" ? rate : value ?? NaN].slice(-MOST.points);
  row.path.setAttribute("d", drawn(row.points, unit === "1" && RATIO.test(name)));
  Object.assign(row, { axis: tick.axis, at: tick.at, ts, value, every });
}

// Some sensors are read seldom: what is old depends on how often a value came.
const oldAfter = (row) => Math.max(MS.old, 3 * (row.every || 0));

function tellAges() {
  const now = hubNow();
  for (const { device, root, seen, rows, collectors } of cards.values()) {
    const last = Math.max(device.last_seen, ...[...collectors.values()].map((group) => group.ts));
    write(seen, last > 0 ? `seen ${age(now - last)}` : "never seen");
    if (!root.open) continue;
    for (const group of collectors.values()) write(group.age, age(now - group.ts));
    for (const row of rows.values()) {
      const isOld = row.root.classList.toggle("old", now - row.ts > oldAfter(row));
      if (isOld) write(row.side, row.ts < row.group.ts ? age(now - row.ts) : "");
    }
  }
}

// --- the stream
async function* eventsOf(answer, alive) {
  let rest = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    alive();
    const events = (rest + part.value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [, name] = event.match(/^event: (.*)$/m) || [];
      const [, data] = event.match(/^data: (.*)$/m) || [];
      if (name && data) yield { name, data: JSON.parse(data) };
    }
  }
}

const opened = () => [...cards.values()].filter((card) => card.root.open);
const wanted = () => (document.hidden ? [] : opened().slice(0, MOST.followed)).map((card) => card.device.id).join();
let stream = { asked: "", stop: new AbortController() };

// Follow something else when what is looked at has changed.
function turn() {
  if (wanted() !== stream.asked) stream.stop.abort(turn);
}

async function follow() {
  const stop = new AbortController();
  const asked = wanted();
  stream = { asked, stop };
  if (!asked) return new Promise((done) => stop.signal.addEventListener("abort", done));
  let timer = 0;
  const alive = () => { clearTimeout(timer); timer = setTimeout(() => stop.abort(), MS.silent); };
  try {
    alive();
    const answer = await ask(`/api/v1/telemetry/stream?device=${encodeURIComponent(asked)}`, { signal: stop.signal });
    tell(follow, null);
    for await (const event of eventsOf(answer, alive)) if (event.name === "telemetry") showTick(event.data);
  } catch (error) {
    if (stop.signal.reason !== turn) throw error;
  } finally {
    clearTimeout(timer);
  }
}

// --- all the time
const troubles = new Map();
function tell(work, error) {
  troubles.set(work, error && `${error.status ? error.message : "no contact with the hub"}; trying again`);
  const worst = [...troubles.values()].find((one) => one);
  showLink(worst ? "warn" : "ok", worst || "live");
}

async function forever(work, between) {
  for (let failures = 0; session;) {
    const began = Date.now();
    try {
      await work();
      if (session) tell(work, null);
      failures = 0;
      await pause(between);
    } catch (error) {
      if (!session) return;
      if (error.status === 401) session.until = 0;
      tell(work, error);
      failures = Date.now() - began > 10000 ? 1 : failures + 1;
      await pause(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1] * (0.5 + Math.random() / 2));
    }
  }
}

byId("leave").addEventListener("click", () => fetch("/api/v1/auth/logout", { method: "POST" }).then(
  () => leave("You are logged out."),
  () => showLink("warn", "still logged in: no contact with the hub"),
));
document.addEventListener("visibilitychange", turn);
window.addEventListener("hashchange", () => location.reload()); // a new login link, opened in this tab
// Out of the address at once: addresses are copied, kept in histories and shown on screens.
history.replaceState(null, "", location.pathname);
setInterval(tellAges, 1000);
forever(list, MS.list);
forever(follow, 0);
