// The operators' page: reads /live.json each second and draws it. Every text goes in as text.
"use strict";

const POLL = 1000, TICK = 100, SAMPLES = 600, PATIENCE = 8000, KEPT = "faregate-spend";
const byId = (id) => document.getElementById(id);
let view = null, readAt = 0, failedSince = 0, refusedOnly = false;
let meters = { page: 1, search: "", asked: 0, at: 0 };
let samples = remembered();
const tickers = new Map();

// ---- texts ------------------------------------------------------------------------------------

/** An element; children are nodes or texts, never markup. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "label") node.dataset.label = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A name that a tenant chose: kept apart from the text around it, cut after two lines. */
const named = (text, kind = "name") => el("bdi", { class: kind, title: text }, text);

/** A word of the program as words: "RunningVm", "running-vm" and "running_vm" are "running VM". */
const spoken = (word) => word.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]/g, " ").toLowerCase()
  .replace(/\b(vm|ip|vpn|vpc|iso|nic)\b/g, (short) => short.toUpperCase());

/** "1234.560000" as ["1 234.56", "0000" without its zeros]. */
function parts(amount, digits) {
  const [whole, fraction = ""] = String(amount).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
  const fine = digits ? fraction.slice(2, digits) : fraction.slice(2).replace(/0+$/, "");
  return [`${grouped.replace("-", "\u2212")}.${fraction.slice(0, 2).padEnd(2, "0")}`, fine];
}
function money(amount, currency) {
  const [main, fine] = parts(amount);
  return el("span", { class: "money", title: `${amount} ${currency || ""}`.trim() }, main,
    fine ? el("span", { class: "fine" }, fine) : null);
}
const grouped = (count) => count.toLocaleString("en").replace(/,/g, "\u2009");
const number = (amount) => Number.parseFloat(amount) || 0;
const isNothing = (amount) => /^-?0*(\.0*)?$/.test(amount);

const two = (n) => String(n).padStart(2, "0");
function span(seconds) {
  if (seconds === null || seconds === undefined) return "\u2014";
  const s = Math.max(0, Math.floor(seconds)), days = Math.floor(s / 86400);
  if (days > 3650) return "over 10 years";
  if (days >= 100) return `${days} days`;
  const clock = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return days ? `${days} d ${clock}` : clock;
}
function age(seconds) {
  if (seconds < 120) return `${Math.max(0, seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}
const day = (text) => text.slice(0, 10);
const minute = (text) => `${text.slice(5, 10)} ${text.slice(11, 16)}`;
const second = (text) => text.slice(11, 19);
const urgency = (seconds) => seconds === null || seconds === undefined ? ""
  : seconds < 3600 ? "urgent" : seconds < 86400 ? "soon" : "";
/** How full a clock is: an hour is little, thirty days are all. */
const fullness = (seconds) => seconds === null || seconds === undefined ? 100
  : Math.max(2, Math.min(100, 100 * Math.log(1 + seconds / 600) / Math.log(1 + 4320)));

// ---- rows that stay where they are ------------------------------------------------------------

/** Brings a parent's rows in line with the items; a row that says the same stays untouched. */
function rows(id, items, key, make, nothing) {
  const parent = byId(id), table = parent.tagName === "TBODY";
  const known = parent.known || (parent.known = new Map());
  if (!items.length) {
    known.clear();
    if (parent.dataset.nothing !== nothing) {
      parent.dataset.nothing = nothing;
      const columns = table ? parent.parentElement.tHead.rows[0].cells.length : 0;
      parent.replaceChildren(table
        ? el("tr", {}, el("td", { class: "empty full", colspan: columns }, nothing))
        : el("p", { class: "empty" }, nothing));
    }
    if (table) parent.parentElement.tHead.hidden = true;
    return;
  }
  if (table) parent.parentElement.tHead.hidden = false;
  if (parent.dataset.nothing) { delete parent.dataset.nothing; parent.replaceChildren(); }
  const wanted = new Map();
  items.forEach((item, index) => {
    let name = key(item);
    while (wanted.has(name)) name += "+";
    const says = JSON.stringify(item), had = known.get(name);
    const node = had && had.says === says ? had.node : make(item, name);
    if (had && had.node !== node && had.node.isConnected) had.node.replaceWith(node);
    wanted.set(name, { node, says });
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] || null);
  });
  while (parent.children.length > items.length) parent.lastChild.remove();
  parent.known = wanted;
}

const cell = (attributes, ...children) => el("td", attributes, ...children);

/** A clock that runs down between readings. */
function runout(seconds) {
  const shown = el("span", { class: "nowrap" }, span(seconds));
  if (seconds !== null && seconds !== undefined && seconds < 86400 * 100) tickers.set(shown, [seconds, readAt]);
  return shown;
}

// ---- payers -----------------------------------------------------------------------------------

function purse(label, amount, currency) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, money(amount, currency)));
}

function payerRow(payer) {
  const figures = [payer.available, payer.held, payer.accrued].map((amount) => Math.max(0, number(amount)));
  const bar = ["available", "held", "accrued"].map((kind, index) => {
    const part = el("span", { class: `part ${kind}` });
    part.style.flexGrow = String(figures[index]);
    return part;
  });
  const fill = el("div", { class: "fill" });
  fill.style.width = payer.state === "parked" ? "0" : `${fullness(payer.empty_in)}%`;
  const open = payer.state === "open";
  const fourth = !isNothing(payer.credit_line) ? purse("credit line", payer.credit_line, payer.currency)
    : !isNothing(payer.gift) ? purse(payer.gift_ends ? `gift, next end ${payer.gift_ends.slice(0, 10)}` : "gift credit", payer.gift, payer.currency)
      : purse("spent this month", payer.spent, payer.currency);
  const parked = payer.state === "parked";
  const clock = parked ? el("b", { class: "dim" }, "not computed") : payer.empty_in === null ? el("b", { class: "dim" }, isNothing(payer.per_hour) ? "nothing burns" : "\u2014")
    : el("b", {}, runout(payer.empty_in));
  return el("article", { class: "payer" },
    el("div", { class: "who" }, named(payer.name || payer.id),
      el("p", {}, el("span", { class: `pill ${open ? "ok" : "no"}` }, payer.state),
        el("span", { class: "tag" }, payer.mode), named(payer.id, "dim small"))),
    el("div", { class: "wallet" },
      el("dl", { class: "purses" }, purse("available", payer.available, payer.currency),
        purse("held", payer.held, payer.currency), purse("accrued", payer.accrued, payer.currency), fourth),
      el("div", { class: "stack", role: "img", "aria-label": "available, held and accrued in proportion" }, bar)),
    el("div", { class: "burns" }, el("b", {}, parked ? "\u2014" : money(payer.per_hour, payer.currency)),
      el("span", { class: "dim small" }, `${payer.currency} an hour · ${payer.meters} meter${payer.meters === 1 ? "" : "s"}`)),
    el("div", { class: `runout ${parked ? "" : urgency(payer.empty_in)}` }, clock, el("div", { class: "track" }, fill)),
    open ? null : el("p", { class: "why no" }, el("bdi", {}, payer.why)),
    sampling(payer),
    notices(payer));
}

/** Traffic and disk I/O are known only after a while: how long, what is held for it, what can exceed that. */
function sampling(payer) {
  if (!payer.window) return null;
  const { seconds, held, overdraft, by } = payer.window;
  const most = overdraft === null ? "without a bound: an offering has no line rate" : `at most ${overdraft} ${payer.currency}`;
  return el("p", { class: "dim small" },
    `sampling window ${span(seconds)}: ${held} ${payer.currency} held by ${by}; overdraft ${most}`);
}

/** "notice-86400s" is the notice of the last day; the end of the money weighs most. */
const stepSeconds = (step) => { const found = /^notice-(\d+)s$/.exec(step); return found ? Number(found[1]) : null; };
const stepRank = (step) => stepSeconds(step) === null ? (/stop/.test(step) ? -2 : -1) : stepSeconds(step);
const stepName = (step) => stepSeconds(step) === null ? spoken(step) : `last ${stepSeconds(step) / 3600} h`;

function notices(payer) {
  if (!payer.notices.length) return null;
  const line = (notice) => [el("b", {}, stepName(notice.step)), ` ${minute(notice.at)} \u2014 `, el("bdi", {}, notice.text), notice.delivered ? el("span", { class: "dim" }, ` [${notice.delivered}]`) : null];
  const told = [...payer.notices].sort((a, b) => b.at.localeCompare(a.at) || stepRank(a.step) - stepRank(b.step));
  const [last, ...earlier] = told;
  if (!earlier.length) return el("p", { class: "notice" }, "Notice ", ...line(last));
  return el("details", { class: "notice", open: opened.has(payer.id) ? "" : null, "data-payer": payer.id },
    el("summary", {}, "Notice ", ...line(last), ` (+${earlier.length})`), earlier.map((notice) => el("p", {}, ...line(notice))));
}
const opened = new Set();
document.addEventListener("toggle", (event) => {
  const payer = event.target.dataset && event.target.dataset.payer;
  if (payer !== undefined) { if (event.target.open) opened.add(payer); else opened.delete(payer); }
}, true);

// ---- tables -----------------------------------------------------------------------------------

function scopeRow(scope, most) {
  const inside = scope.domain && scope.kind !== "domain";
  const share = el("span", { class: "share" });
  share.style.width = `${Math.round(100 * number(scope.per_hour) / most)}%`;
  return el("tr", {},
    cell({ class: "full" }, named(scope.name), el("span", { class: "under" }, el("span", { class: "tag" }, scope.kind),
      inside ? " in " : null, inside ? named(scope.domain, "") : null)),
    cell({}, named(scope.payers.join(", ") || "nobody", "name dim")),
    cell({ class: "n r", label: "month" }, money(scope.spent, scope.currency)),
    cell({ class: "n", label: "an hour" }, money(scope.per_hour, scope.currency), share),
    cell({ class: "n r", label: "left" }, runout(scope.empty_in)));
}

const verdictKind = (verdict) => verdict.startsWith("refuse") ? "no" : /park|unresolved|late|wait/.test(verdict) ? "wait" : "ok";

function callRow(call) {
  return el("tr", {},
    cell({ class: "nowrap dim small", title: call.at }, second(call.at)),
    cell({}, named(call.command), call.payer ? named(call.payer, "under") : el("span", { class: "under" }, "no payer")),
    cell({ class: "full" }, el("span", { class: `pill ${verdictKind(call.verdict)}` }, call.verdict),
      call.reason ? el("bdi", { class: "under" }, call.reason) : null));
}

function holdRow(hold) {
  return el("tr", {},
    cell({ class: "full" }, named(hold.command || "unknown call"), el("span", { class: "under" }, named(hold.payer, ""), " ", named(hold.hold, "mono"))),
    cell({ class: "full" }, el("span", { class: `pill ${hold.status === "unresolved" ? "no" : "wait"}` }, hold.status),
      hold.note ? el("bdi", { class: "under" }, hold.note) : null, hold.status === "unresolved" ? decisions(hold) : null),
    cell({ class: "n", label: "held" }, money(hold.amount, hold.currency)),
    cell({ class: "n r nowrap", label: "since", title: hold.at }, age(hold.age)));
}

/** What a person may say of a call whose outcome nobody could prove. */
function decisions(hold) {
  const button = (decision, text, why) => {
    const node = el("button", { type: "button", title: why }, text);
    node.addEventListener("click", async () => {
      const reason = prompt(`${hold.command} of ${hold.payer}, ${hold.amount} ${hold.currency} held.\n${why}\nWhy do you decide so?`);
      if (!reason) return;
      const answer = await fetch("/unresolved", { method: "POST", body: new URLSearchParams({ hold: hold.hold, decision, reason }) });
      if (!answer.ok) alert(await answer.text());
    });
    return node;
  };
  return el("span", { class: "decide" }, button("ask-again", "ask again", "CloudStack is asked again what became of it."),
    button("give-back", "give back", "Nothing came of it: the money goes back to the payer."),
    button("settle", "it runs", "It is there and costs: the money becomes part of the cover."));
}

function differenceRow(difference) {
  const why = [difference.class, difference.cause].filter(Boolean).map(spoken).join(": ");
  return el("tr", {},
    cell({ class: "full" }, named(difference.name || difference.resource),
      el("span", { class: "under" }, spoken(difference.kind), " ", named(difference.resource, "mono"))),
    cell({ class: "full" }, why, difference.worth ? el("span", { class: "under" }, `worth ${difference.worth}`) : null),
    cell({ class: "n", label: "metered" }, span(difference.metered)),
    cell({ class: "n r", label: "reported" }, span(difference.reported)));
}

function meterRow(meter) {
  return el("tr", {},
    cell({ class: "full" }, named(meter.name || meter.resource), named(meter.resource, "under mono")),
    cell({}, spoken(meter.kind), meter.offering ? named(meter.offering, "under") : null),
    cell({ class: "r" }, named(meter.owner), meter.domain ? named(meter.domain, "under") : null),
    cell({}, named(meter.payer || "nobody", "name dim")),
    cell({ class: "n r", label: "an hour" }, money(meter.per_hour, meter.currency)),
    cell({ class: "n nowrap", label: "since", title: meter.since }, minute(meter.since)));
}

function documentRow(paper) {
  const link = (format, text) => el("a", { href: `/invoices/${encodeURIComponent(paper.number)}.${format}` }, text);
  const [first, ...others] = paper.formats;
  const more = others.flatMap((format) => [" ", link(format, format.toUpperCase())]);
  return el("tr", {},
    cell({}, first ? link(first, paper.number) : paper.number, el("span", { class: "under" }, spoken(paper.kind), ...more)),
    cell({ class: "r" }, named(paper.payer)),
    cell({ class: "n" }, money(paper.total, paper.currency), el("span", { class: "under" }, paper.currency)),
    cell({ class: "nowrap r" }, day(paper.at)));
}

// ---- spend history: a ring of samples, kept for this tab ---------------------------------------

function remembered() {
  try { const kept = JSON.parse(sessionStorage.getItem(KEPT)); return Array.isArray(kept) ? kept.slice(-SAMPLES) : []; }
  catch { return []; }
}

/** One sample: billing time, wall time, and [per hour, spent] of each currency and payer. */
function sample() {
  const of = {};
  for (const total of view.totals) of[`c/${total.currency}`] = [number(total.per_hour), number(total.spent)];
  for (const payer of view.payers.slice(0, 20)) of[`p/${payer.id}`] = [number(payer.per_hour), number(payer.spent)];
  const at = Date.parse(view.now), last = samples[samples.length - 1];
  if (last && at < last.at) samples = [];
  samples.push({ at, of });
  if (samples.length > SAMPLES) samples.splice(0, samples.length - SAMPLES);
  if (samples.length % 5 === 0) try { sessionStorage.setItem(KEPT, JSON.stringify(samples)); } catch { /* full: this tab only */ }
}

const svg = (tag, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

/** The numeral of an axis, with no more digits than it needs. */
const axis = (value) => value === 0 ? "0" : value >= 1000 ? grouped(Math.round(value))
  : String(Number(value.toPrecision(3)));

/** The next round figure at or above a value: 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.999999) * power;
}

function chart(id, kind, points, steps) {
  const box = byId(id), w = Math.max(120, box.clientWidth), h = Math.max(80, box.clientHeight);
  const left = 4, right = w - 4, top = 16, bottom = h - 18;
  const drawing = svg("svg", { class: kind, viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `${points.length} readings` });
  const high = roundUp(Math.max(0, ...points.map(([, y]) => y)));
  for (const share of [0, 0.5, 1]) {
    const y = bottom - share * (bottom - top);
    drawing.append(svg("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    if (share && points.length) drawing.append(svg("text", { x: left, y: y - 4 }, axis(high * share)));
  }
  if (points.length > 1) {
    const first = points[0][0], range = Math.max(1, points[points.length - 1][0] - first);
    const px = (x) => (left + (x - first) / range * (right - left)).toFixed(1);
    const py = (y) => (bottom - y / high * (bottom - top)).toFixed(1);
    let path = `M${px(points[0][0])},${py(points[0][1])}`;
    for (const [x, y] of points.slice(1)) path += steps ? `H${px(x)}V${py(y)}` : `L${px(x)},${py(y)}`;
    const [x, y] = points[points.length - 1];
    drawing.append(svg("path", { class: "area", d: `${path}L${px(x)},${bottom}L${px(first)},${bottom}Z` }),
      svg("path", { class: "stroke", d: path }), svg("circle", { class: "dot", cx: px(x), cy: py(y), r: 3.5 }),
      svg("text", { x: left, y: h - 3 }, stamp(first, range)), svg("text", { x: right, y: h - 3, "text-anchor": "end" }, stamp(x, range)));
  }
  box.replaceChildren(drawing);
}
const stamp = (at, range) => { const text = new Date(at).toISOString(); return range > 172800000 ? minute(text) : second(text); };

// ---- headline ---------------------------------------------------------------------------------

function choices() {
  const select = byId("whose"), had = select.value;
  const options = view.totals.map((total) => [`c/${total.currency}`, view.totals.length > 1 ? `all payers in ${total.currency}` : "all payers"]);
  if (view.totals.reduce((sum, total) => sum + total.payers, 0) > 1) {
    for (const payer of view.payers.slice(0, 20)) options.push([`p/${payer.id}`, payer.name || payer.id]);
  }
  const says = JSON.stringify(options);
  if (select.dataset.says !== says) {
    select.dataset.says = says;
    select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text.length > 40 ? `${text.slice(0, 39)}\u2026` : text)));
    if (options.some(([value]) => value === had)) select.value = had;
  }
  byId("whose").parentElement.hidden = options.length < 2;
  const value = select.value;
  if (value.startsWith("p/")) return [value, view.payers.find((payer) => `p/${payer.id}` === value)];
  return [value, view.totals.find((total) => `c/${total.currency}` === value)];
}

function headline() {
  const [key, chosen] = choices();
  const figure = (label, ...value) => el("div", {}, el("dt", {}, label), el("dd", {}, ...value));
  if (!chosen) {
    byId("spent").textContent = "0.00";
    byId("spent-currency").textContent = "";
    byId("figures").replaceChildren(figure("meters run", String(view.meters_total)));
    byId("rate-now").textContent = byId("sum-now").textContent = "";
    chart("rate-chart", "rate", [], true); chart("sum-chart", "sum", [], false);
    return;
  }
  const unit = chosen.currency;
  byId("spent-currency").textContent = unit;
  byId("figures").replaceChildren(figure("an hour", money(chosen.per_hour, unit)), figure("available", money(chosen.available, unit)),
    figure("held", money(chosen.held, unit)), figure("accrued", money(chosen.accrued, unit)),
    figure("meters run", grouped(chosen.meters === undefined ? view.meters_total : chosen.meters)),
    figure(chosen.payers === undefined ? "state" : "payers", chosen.payers === undefined ? chosen.state : grouped(chosen.payers)));
  const seen = samples.filter((one) => one.of[key]).map((one) => [one.at, ...one.of[key]]);
  chart("rate-chart", "rate", seen.map(([at, rate]) => [at, rate]), true);
  const spent = risen(seen);
  chart("sum-chart", "sum", spent, false);
  byId("rate-now").replaceChildren(money(chosen.per_hour, unit), ` ${unit}`);
  byId("sum-now").textContent = spent.length ? `${spent[spent.length - 1][1].toFixed(6).replace(/0{1,4}$/, "")} ${unit}` : "";
  spender = { spent: number(chosen.spent), per_hour: number(chosen.per_hour) };
}
let spender = null;

/** What was spent since the first sample. A new month starts at nothing; a small fall is a correction. */
function risen(seen) {
  let sum = 0, before = null;
  return seen.map(([at, , spent]) => {
    if (before !== null) sum += spent >= before ? spent - before : spent < before / 2 ? spent : 0;
    before = spent;
    return [at, sum];
  });
}

// ---- drawing ----------------------------------------------------------------------------------

/** The first few of a long list; a button below it shows them all. */
const wide = new Set();
function few(id, items, most) {
  const button = byId(`${id}-all`);
  button.hidden = items.length <= most;
  button.textContent = wide.has(id) ? `show the first ${most}` : `show all ${items.length}`;
  return wide.has(id) ? items : items.slice(0, most);
}
for (const button of document.querySelectorAll("button.all")) {
  button.addEventListener("click", () => {
    const id = button.id.replace("-all", "");
    if (!wide.delete(id)) wide.add(id);
    if (view) draw();
  });
}
const counted = (shown, total, word) => !total ? "" : total > shown ? `${shown} of ${grouped(total)}${word || ""}` : String(total);

// The worst possible loss, also while everything is well: whoever writes a cap sees what it means.
function away(it) {
  if (!it.possible) return "Without its books this node lets no raising call pass: worst possible loss 0.";
  const one = (sum) => `worst possible loss ${sum.worst} ${sum.currency} (${sum.open} payers open up to their caps, ${sum.closed} closed), passed here ${sum.passed}`;
  return `${it.now ? "The books are away" : "While the books are away"}: ${it.sums.map(one).join("; ") || "nobody's raising calls pass"}.`;
}

function draw() {
  for (const node of tickers.keys()) if (!node.isConnected) tickers.delete(node);
  byId("speed").hidden = view.speed === 1;
  byId("speed").textContent = `${grouped(view.speed)} × time`;
  byId("alarms").replaceChildren(...view.alarms.map((alarm) => el("div", { class: `banner ${alarm.kind === "clock" ? "bad" : "warn"}` },
    el("b", {}, el("bdi", {}, alarm.what)), el("span", {}, el("bdi", {}, alarm.act)))));
  byId("away").textContent = away(view.store_away);
  headline();
  byId("payers-count").textContent = counted(view.payers.length, view.payers_total, ", soonest empty first");
  byId("key").hidden = !view.payers.length;
  rows("payers-rows", few("payers", view.payers, 8), (payer) => payer.id, payerRow,
    "No payers yet. Write a customer into policies/customers and start again: its wallet appears here.");
  const most = Math.max(1e-9, ...view.scopes.map((scope) => number(scope.per_hour)));
  byId("scopes-count").textContent = counted(view.scopes.length, view.scopes_total);
  rows("scopes-rows", few("scopes", view.scopes, 10), (scope) => `${scope.kind}/${scope.domain}/${scope.name}`, (scope) => scopeRow(scope, most),
    "Nobody spends yet. As soon as a charged call starts something, its account, project and domain are here.");
  const calls = refusedOnly ? view.calls.filter((call) => call.verdict.startsWith("refuse")) : view.calls;
  byId("calls-count").textContent = calls.length ? `the last ${calls.length}` : "";
  rows("calls-rows", calls, (call) => call.call, callRow,
    refusedOnly ? "None of the last calls was refused." : "No call that costs has come through the gate yet.");
  byId("holds-count").textContent = counted(view.holds.length, view.holds_total);
  rows("holds-rows", view.holds, (hold) => `${hold.hold}/${hold.payer}`, holdRow, "None: every call has its outcome, no money waits.");
  byId("differences-count").textContent = counted(view.differences.length, view.differences_total);
  rows("differences-rows", view.differences, (d) => `${d.kind}/${d.resource}`, differenceRow, "None: the meter and the usage server agree.");
  byId("meters-count").textContent = view.meters_total ? grouped(view.meters_total) : "";
}

/** What runs on between two readings: the clocks and the spent amount. */
function tick() {
  if (!view) return;
  const ahead = Math.min(performance.now() - readAt, 3 * POLL) / 1000 * view.speed;
  const now = new Date(Date.parse(view.now) + ahead * 1000).toISOString();
  byId("now").replaceChildren(el("span", { class: "date" }, `${now.slice(0, 10)} `), `${now.slice(11, 19)} UTC`);
  if (spender) {
    const [main, fine] = parts((spender.spent + spender.per_hour * ahead / 3600).toFixed(6), 6);
    byId("spent").replaceChildren(main, el("span", { class: "fine" }, fine));
  }
  for (const [node, [seconds, since]] of tickers) {
    const gone = Math.min(performance.now() - since, readAt - since + 3 * POLL) / 1000 * view.speed;
    node.textContent = span(seconds - gone);
  }
}

// ---- reading ----------------------------------------------------------------------------------

async function read(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  const read = await answer.json();
  return { ...read, age: Number(answer.headers.get("x-age-ms")) || 0, list: Array.isArray(read) ? read : [] };
}

function lost(why) {
  failedSince = failedSince || Date.now();
  byId("pulse").className = "pulse off";
  byId("pulse").textContent = "old";
  byId("lost").hidden = false;
  byId("lost").replaceChildren(el("b", {}, `No figures since ${new Date(failedSince).toISOString().slice(11, 19)} UTC.`),
    el("span", {}, el("bdi", {}, why), " What is shown below is what was read last."));
}

async function poll() {
  const started = performance.now();
  try {
    const fresh = await read("/live.json").catch((error) => ({ fault: `Faregate does not answer: ${error.message}.` }));
    if (fresh.fault) { lost(fresh.fault); } else {
      view = fresh; readAt = performance.now() - fresh.age; failedSince = 0;
      byId("lost").hidden = true; byId("pulse").className = "pulse on"; byId("pulse").textContent = "live";
      sample(); draw(); tick();
    }
  } catch (error) { lost(`This page could not draw the figures: ${error.message}.`); }
  setTimeout(poll, Math.max(200, POLL - (performance.now() - started)) * (document.hidden ? 5 : 1));
}

async function readMeters() {
  const asked = ++meters.asked;
  const wanted = new URLSearchParams({ page: String(meters.page), search: meters.search });
  try {
    const found = await read(`/meters.json?${wanted}`);
    if (asked !== meters.asked) return;
    meters.page = found.page;
    byId("page").textContent = `${found.page} / ${found.pages}` + (found.search ? ` · ${grouped(found.total)} found` : "");
    byId("prev").disabled = found.page <= 1; byId("next").disabled = found.page >= found.pages;
    rows("meters-rows", found.rows, (meter) => `${meter.kind}/${meter.resource}/${meter.since}`, meterRow,
      found.search ? "No running meter matches." : "Nothing runs yet. What a charged call starts is metered from its first second and listed here.");
  } catch { /* the banner says it already */ }
}

async function readDocuments() {
  try {
    const found = (await read("/invoices.json")).list;
    byId("documents-count").textContent = found.length ? String(found.length) : "";
    rows("documents-rows", found, (paper) => paper.number, documentRow, "No invoice yet. The first is issued when the first month ends.");
  } catch { /* the banner says it already */ }
}

function every(wait, what) { const again = async () => { if (!document.hidden) await what(); setTimeout(again, wait); }; again(); }
let typing = 0;
byId("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => { meters.search = event.target.value; meters.page = 1; readMeters(); }, 200);
});
byId("prev").addEventListener("click", () => { meters.page = Math.max(1, meters.page - 1); readMeters(); });
byId("next").addEventListener("click", () => { meters.page += 1; readMeters(); });
byId("whose").addEventListener("change", () => { if (view) { headline(); tick(); } });
byId("refused").addEventListener("change", (event) => { refusedOnly = event.target.checked; if (view) draw(); });
poll();
every(3000, readMeters);
every(5000, readDocuments);
setInterval(tick, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : TICK);
