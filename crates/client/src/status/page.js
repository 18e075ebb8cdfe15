"use strict";
// Asks /status again and again, and shows it. Writes text alone: nothing of what it is told is HTML.
const SVG = "http://www.w3.org/2000/svg";
const ROWS = 100, FEW = 5;
const at = (id) => document.getElementById(id);
const states = [["s", "settled: all of it delivered, and nothing new to expect"],
  ["d", "delivered so far: Microsoft may still add to it"],
  ["o", "fresh: being listed and read"], ["i", "incomplete: something is not delivered yet"],
  ["l", "lost: something will never be delivered"], ["x", "not collected"]];
let chosen = decodeURIComponent(location.hash.slice(1)), limit = ROWS, last = null, timer = 0;

function make(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}
function span(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [length, unit] of units)
    if (seconds >= 2 * length) return Math.round(seconds / length) + " " + unit;
  return Math.round(seconds) + " s";
}
function number(value) {
  return value < 10 && value % 1 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}
function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < 4) { value /= 1000; unit++; }
  return (unit && value < 10 ? value.toFixed(1) : Math.round(value)) + " " + units[unit];
}
const lagClass = (seconds) => seconds > 21600 ? "bad" : seconds > 3600 ? "warn" : "";

// Runs of one letter are one rectangle.
function strip(letters, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "strip");
  svg.setAttribute("viewBox", "0 0 " + letters.length + " 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const counts = {}, thin = [];
  for (let from = 0; from < letters.length;) {
    let to = from;
    while (letters[to] === letters[from]) to++;
    const known = states.some(([letter]) => letter === letters[from]) ? letters[from] : "x";
    counts[known] = (counts[known] || 0) + to - from;
    const rect = document.createElementNS(SVG, "rect");
    // Without colour, height tells them apart.
    const height = { l: 10, i: 7, s: 10, d: 10, o: 5, x: 2 }[known];
    // What is lost, if it is but an hour, must not be thinner than what can be seen.
    const more = known === "l" ? Math.max(0, 3 - to + from) : 0;
    for (const [name, value] of [["x", from - more / 2], ["width", to - from + more],
      ["y", 10 - height], ["height", height], ["class", known]]) rect.setAttribute(name, value);
    if (more) thin.push(rect); else svg.append(rect);
    from = to;
  }
  svg.append(...thin);
  const said = states.filter(([letter]) => counts[letter]).map(([letter, text]) =>
    counts[letter] + " hours " + text.split(":")[0]);
  svg.setAttribute("aria-label", label + ": " + (said.join(", ") || "nothing"));
  return svg;
}
function figures(list, pairs) {
  list.replaceChildren(...pairs.map(([term, text, name]) => {
    const pair = make("div");
    pair.append(make("dt", term), make("dd", text, name));
    return pair;
  }));
}
// Worst first: lost, not ready, behind.
function badness(row) {
  return (row.losses_unacknowledged || row.lost ? 1e12 : 0) + (row.ready ? 0 : 1e10)
    + (row.blobs_quarantined ? 1e8 : 0) + row.lag_seconds;
}
function word(row) {
  if (row.losses_unacknowledged || row.lost)
    return [["data lost"].concat(row.reasons).join("; "), "bad"];
  if (!row.ready) return [row.reasons.join("; "), "bad"];
  if (row.blobs_quarantined) return ["quarantine: " + number(row.blobs_quarantined), "warn"];
  return [row.state === "ended" ? "ended" : "ready", "good"];
}
function summary(status) {
  const rows = status.tenants, sum = (key) => rows.reduce((all, row) => all + row[key], 0);
  const most = (key) => rows.reduce((all, row) => Math.max(all, row[key]), 0);
  const not = rows.filter((row) => !row.ready), lost = rows.filter((row) => row.lost
    || row.losses_unacknowledged);
  const state = at("state");
  const parts = [];
  if (!rows.length) parts.push("No tenant is collected.");
  if (lost.length) parts.push(lost.length === 1 ? "Data was lost: " + lost[0].name + "."
    : "Data was lost: of " + lost.length + " tenants.");
  if (not.length) parts.push(rows.length === 1 ? "Not ready: " + not[0].reasons.join("; ")
    : not.length + " of " + rows.length + " tenants are not ready.");
  if (!parts.length) parts.push(rows.length === 1 ? "Everything is collected."
    : "All " + rows.length + " tenants are collected.");
  const text = parts.join(" ");
  // Said again only when it changes.
  if (state.textContent !== text) state.textContent = text;
  state.className = not.length || lost.length || !rows.length ? "bad" : "good";
  document.title = (state.className === "bad" ? "! " : "") + "m365-audit";
  at("about").textContent = status.version + ", " + status.packaging + ", since "
    + status.started.slice(0, 16).replace("T", " ") + " UTC; as of "
    + status.now.slice(11, 19) + " UTC";
  figures(at("totals"), [["Worst lag", span(most("lag_seconds")), lagClass(most("lag_seconds"))],
    ["Backlog", span(most("backlog_seconds"))],
    ["Records/s", number(sum("records_per_second"))],
    ["Bytes/s", bytes(sum("bytes_per_second"))],
    ["Requests/min", number(60 * sum("requests_per_second"))],
    ["Throttled", number(sum("throttled")), sum("throttled") ? "warn" : ""],
    ["Not safe yet", bytes(sum("undelivered_bytes"))],
    ["In quarantine", number(sum("blobs_quarantined")), sum("blobs_quarantined") ? "warn" : ""],
    ["Losses open", number(sum("losses_unacknowledged")),
      sum("losses_unacknowledged") ? "bad" : ""]]);
}
function table(rows) {
  const text = at("search").value.trim().toLowerCase(), bad = at("bad").checked;
  const found = rows.filter((row) => (!bad || word(row)[1] !== "good") && (!text
    || (row.name + " " + row.tenant_id + " " + word(row)[0]).toLowerCase().includes(text)));
  found.sort((one, other) => badness(other) - badness(one));
  const held = document.activeElement && document.activeElement.dataset.tenant;
  at("rows").replaceChildren(...found.slice(0, limit).map((row) => {
    const line = make("tr"), name = make("th"), open = make("button", row.name);
    name.scope = "row";
    open.type = "button";
    open.dataset.tenant = row.tenant_id;
    open.addEventListener("click", () => choose(row.tenant_id));
    name.append(open);
    const [said, kind] = word(row), week = make("td");
    if (row.week) week.append(strip(row.week, row.name));
    const short = said.length > 160 ? said.slice(0, 160) + "…" : said;
    line.append(name, make("td", short, "state " + kind),
      make("td", span(row.lag_seconds), "n " + lagClass(row.lag_seconds)),
      make("td", span(row.backlog_seconds), "n more"),
      make("td", number(row.records_per_second), "n more"),
      make("td", number(60 * row.requests_per_second), "n more"),
      make("td", number(row.throttled), "n more"),
      make("td", number(row.losses_unacknowledged),
        "n more " + (row.losses_unacknowledged ? "bad" : "")), week);
    return line;
  }));
  const again = held && document.querySelector('[data-tenant="' + CSS.escape(held) + '"]');
  if (again) again.focus({ preventScroll: true });
  at("shown").textContent = found.length === rows.length ? rows.length + " tenants"
    : found.length + " of " + rows.length + " tenants";
  at("more").hidden = found.length <= limit;
}
function one(tenant, now) {
  at("one").hidden = !tenant;
  if (!tenant) return;
  at("one-title").textContent = tenant.name;
  const [said, kind] = word(tenant);
  at("one-state").textContent = said;
  at("one-state").className = kind;
  at("one-id").textContent = tenant.tenant_id === tenant.name ? "" : tenant.tenant_id;
  figures(at("one-figures"), [["State", tenant.state],
    ["Records/s", number(tenant.records_per_second)], ["Bytes/s", bytes(tenant.bytes_per_second)],
    ["Requests/min", number(60 * tenant.requests_per_second) + " of "
      + number(tenant.requests_per_minute)], ["Throttled", number(tenant.throttled)]]);
  at("feeds").replaceChildren(...tenant.feeds.map((feed) => {
    const box = make("div", undefined, "feed");
    box.append(make("h3", feed.content_type));
    if (feed.denied) box.append(make("p", "Microsoft denies it to this app.", "bad"));
    if (feed.lost) box.append(make("p", "Data of it was lost; see below.", "bad"));
    const list = make("dl");
    list.setAttribute("aria-label", feed.content_type);
    const newest = feed.newest_content_timestamp_seconds;
    figures(list, [["Lag", span(feed.lag_seconds), lagClass(feed.lag_seconds)],
      ["Backlog", span(feed.backlog_seconds)], ["Blobs to read", number(feed.blobs_pending)],
      ["In quarantine", number(feed.blobs_quarantined), feed.blobs_quarantined ? "warn" : ""],
      ["Records", number(feed.records_delivered_total)],
      ["Newest content", newest ? span(Math.max(0, now - newest)) + " old" : "none yet"]]);
    box.append(list);
    if (feed.week) {
      const days = make("div", undefined, "days quiet");
      days.append(make("span", "7 days ago"), make("span", "now"));
      box.append(strip(feed.week, feed.content_type), days);
    }
    return box;
  }));
  at("no-trouble").hidden = tenant.troubles.length > 0;
  at("troubles").replaceChildren(...tenant.troubles.map((line) => {
    const item = make("li", undefined, line.level);
    const more = line.count > 1 ? ", " + number(line.count) + " times" : "";
    item.append(make("span", line.level.toUpperCase() + " " + line.time + more, "quiet"),
      make("div", line.text));
    return item;
  }));
}
function choose(tenant) {
  chosen = tenant;
  history.replaceState(null, "", "#" + encodeURIComponent(tenant));
  ask().then(() => at("one-title").scrollIntoView());
}
async function get(query) {
  const answer = await fetch("/status" + query, { cache: "no-store" });
  if (!answer.ok && answer.status !== 404) throw new Error("HTTP " + answer.status);
  return answer.ok ? answer.json() : null;
}
async function ask() {
  clearTimeout(timer);
  let pause = 2000;
  try {
    const status = await get("?view=summary");
    last = status;
    summary(status);
    const few = status.tenants.length <= 1;
    at("many").hidden = few;
    if (!few) table(status.tenants);
    const wanted = few ? status.tenants[0] && status.tenants[0].tenant_id : chosen;
    const detail = wanted ? await get("?tenant=" + encodeURIComponent(wanted)) : null;
    one(detail && detail.tenants[0], Date.parse(status.now) / 1000);
    at("legend").hidden = !document.querySelector("svg.strip");
    if (status.tenants.length > 100) pause = 5000;
  } catch (error) {
    at("state").textContent = "No answer: is it still running? (" + error.message + ")";
    at("state").className = "bad";
  }
  // Nobody looks at a hidden page.
  timer = setTimeout(ask, document.hidden ? 60000 : pause);
}
at("legend-list").replaceChildren(...states.map(([letter, text]) => {
  const item = make("li"), svg = document.createElementNS(SVG, "svg");
  const rect = document.createElementNS(SVG, "rect");
  for (const [name, value] of [["width", 10], ["height", 10], ["class", letter]])
    rect.setAttribute(name, value);
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  svg.append(rect);
  item.append(svg, make("span", text));
  return item;
}));
for (const id of ["search", "bad"])
  at(id).addEventListener("input", () => { limit = ROWS; if (last) table(last.tenants); });
at("more").addEventListener("click", () => { limit += ROWS; table(last.tenants); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
ask();
