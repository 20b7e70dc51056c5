"use strict";
// All text that comes from the server is set as text, never as markup.
const $ = (id) => document.getElementById(id);
let csrf = "", mayAct = false, paused = false, latest = null, timer = 0, source = null;

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Keeps the elements of items that stay, so that the focus stays too.
function list(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((each) => [each.dataset.key, each]));
  items.forEach((item, place) => {
    const name = key(item);
    const found = known.get(name) || Object.assign(make(item), {});
    found.dataset.key = name;
    known.delete(name);
    update(found, item);
    if (parent.children[place] !== found) parent.insertBefore(found, parent.children[place] || null);
  });
  for (const old of known.values()) old.remove();
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function row(labels) {
  return () => {
    const made = element("tr");
    for (const label of labels) {
      const cell = element("td", undefined, label ? { "data-label": label } : {});
      if (/\/s$|^Admitted|^Refused/.test(label)) cell.className = "n";
      made.append(cell);
    }
    made.append(element("td", undefined, { class: "act" }));
    return made;
  };
}

function buttons(cell, wanted) {
  if (!mayAct) return cell.replaceChildren();
  list(cell, wanted, (each) => each.name, (each) => element("button", each.name, { type: "button" }), (button, each) => {
    button.setAttribute("aria-label", `${each.name} ${each.about}`);
    button.onclick = () => ask(each);
  });
}

function showThrottles(throttles) {
  const labels = ["", "Rate", "Admitted/s", "Refused/s", "Admitted", "Refused", "State"];
  list($("throttles"), throttles, (each) => each.throttle, row(labels), (tr, each) => {
    const cells = [...tr.children];
    const [fits, over] = each.trials, tried = fits + over;
    const trial = tried ? `on trial: ${number(over)} of ${number(tried)} would be refused` : each.shadow ? "on trial" : "";
    const state = [each.enabled ? "" : "disabled", trial];
    for (const [why, count] of Object.entries(each.degraded)) state.push(`${why}: ${number(count)}`);
    const texts = [each.throttle, each.rate, number(each.per_second[0]), number(each.per_second[1]), number(each.admitted), number(each.refused)];
    texts.forEach((text, place) => setText(cells[place], text));
    setText(cells[6], state.filter(Boolean).join(", ") || "on");
    cells[0].title = [each.strategy, each.store].filter(Boolean).join(", ");
    cells[3].classList.toggle("some", each.per_second[1] > 0);
    const name = each.enabled ? "Disable" : "Enable";
    buttons(cells[7], [{ name, about: each.throttle, body: { action: name.toLowerCase(), throttle: each.throttle } }]);
  });
}

function showClients(clients) {
  $("no-clients").hidden = clients.length > 0;
  $("clients-table").hidden = clients.length === 0;
  list($("clients"), clients, (each) => each.throttle + " " + each.client, row(["", "Throttle", "Refused"]), (tr, each) => {
    const label = each.label === null ? each.client.slice(0, 12) : each.label;
    setText(tr.children[0], label);
    tr.children[0].title = each.client;
    setText(tr.children[1], each.throttle);
    setText(tr.children[2], (each.error ? "up to " : "") + number(each.refused));
    const body = { throttle: each.throttle, client: each.client };
    buttons(tr.children[3], [
      { name: "Reset", about: `${label} in ${each.throttle}`, body: { ...body, action: "reset" } },
      { name: "Ban", about: `${label} from ${each.throttle}`, body: { ...body, action: "ban" }, span: true },
    ]);
  });
}

function showAnother(throttles) {
  $("another").hidden = !mayAct || throttles.length === 0;
  list($("of"), throttles, (each) => each.throttle, (each) => element("option", each.throttle), () => {});
}

function showLists(state) {
  const item = () => { const made = element("li"); made.append(element("span"), element("span")); return made; };
  const linked = () => { const made = element("li"); made.append(element("a"), element("span")); return made; };
  $("bans-section").hidden = state.bans.length === 0;
  list($("bans"), state.bans, (each) => each.throttle + " " + each.client, item, (li, each) => {
    setText(li.children[0], `${each.client.slice(0, 12)}, from ${each.throttle}, ${number(each.left)} s left`);
    buttons(li.children[1], [{ name: "Lift", about: `the ban from ${each.throttle}`, body: { action: "lift", throttle: each.throttle, client: each.client } }]);
  });
  list($("stores"), state.stores, (each) => each.store, item, (li, each) => {
    const degraded = Object.entries(each.degraded).map(([why, count]) => `${why}: ${number(count)}`);
    const breaker = each.breaker === "none" ? [] : [`breaker ${each.breaker}`];
    setText(li.children[0], [each.store, ...breaker, ...degraded, ...(each.shared ? ["shared by all workers"] : [])].join(", "));
    li.classList.toggle("some", each.breaker === "open");
  });
  $("notices-section").hidden = state.notices.length === 0;
  list($("notices"), state.notices, (each) => each.id + each.about, linked, (li, each) => {
    setText(li.children[0], each.id);
    li.children[0].href = each.page;
    setText(li.children[1], `: ${each.sentence}`);
  });
  $("audit-section").hidden = state.audit.length === 0;
  list($("audit"), state.audit, (each) => each.at + each.action, item, (li, each) => {
    const whom = each.client ? ` ${each.client.slice(0, 12)} in` : "";
    setText(li.children[0], `${time(each.at)} ${each.action}${whom} ${each.throttle}${each.seconds ? ` for ${number(each.seconds)} s` : ""}${each.by ? ` by ${each.by}` : ""}`);
  });
}

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showChart({ start, step, admitted, refused }) {
  const width = Math.max(320, $("chart").clientWidth), height = 176, left = 44, bottom = 20, top = 8;
  const sums = admitted.map((each, place) => (each + refused[place]) / step);
  const most = Math.max(1, ...sums), unit = (width - left) / admitted.length, high = height - bottom - top;
  const total = (values) => values.reduce((sum, each) => sum + each, 0);
  const label = `${number(total(admitted))} requests were admitted and ${number(total(refused))} refused in ${Math.round(admitted.length * step / 60)} minutes; at most ${number(most)} a second`;
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" });
  for (const part of [0, 0.5, 1]) {
    const y = top + high * (1 - part);
    drawn.append(svg("line", { x1: left, x2: width, y1: y, y2: y }));
    drawn.append(svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, number(most * part)));
  }
  admitted.forEach((each, place) => {
    const x = left + place * unit, wide = Math.max(1, unit - 0.6);
    const up = high * each / step / most, over = high * refused[place] / step / most;
    if (up) drawn.append(svg("rect", { class: "admitted", x, y: top + high - up, width: wide, height: up }));
    if (over) drawn.append(svg("rect", { class: "refused", x, y: top + high - up - over, width: wide, height: over }));
  });
  drawn.append(svg("text", { x: left, y: height - 4 }, time(start)));
  drawn.append(svg("text", { x: width, y: height - 4, "text-anchor": "end" }, time(start + admitted.length * step)));
  $("chart").replaceChildren(drawn);
}

function show(state) {
  latest = state;
  csrf = state.csrf;
  mayAct = state.may_act;
  document.querySelectorAll("th.act").forEach((each) => { each.hidden = !mayAct; });
  const workers = state.workers === 1 ? "1 worker" : `${state.workers} workers`;
  setText($("status"), `${state.shared ? workers : "This worker alone"}, ${paused ? "paused" : "live"}`);
  setText($("problem"), state.problem || "");
  $("logout").hidden = !state.has_form;
  const rates = state.throttles.reduce((sum, each) => [sum[0] + each.per_second[0], sum[1] + each.per_second[1]], [0, 0]);
  setText($("admitted"), number(rates[0]));
  setText($("refused"), number(rates[1]));
  const sums = [state.series.admitted, state.series.refused].map((each) => each.reduce((sum, one) => sum + one, 0));
  setText($("share"), `${number(sums[1] ? 100 * sums[1] / (sums[0] + sums[1]) : 0)} %`);
  setText($("minutes"), String(state.minutes));
  showChart(state.series);
  showThrottles(state.throttles);
  showClients(state.clients);
  showAnother(state.throttles);
  showLists(state);
}

async function poll() {
  try {
    const answer = await fetch("state", { cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return location.reload();
    show(await answer.json());
  } catch {
    setText($("status"), "The server does not answer; trying again");
  }
}

function listen() {
  clearInterval(timer);
  if (source) source.close();
  if (paused) return;
  source = new EventSource("events");
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    clearInterval(timer);  // no stream here: ask instead
    poll();
    timer = setInterval(poll, 2000);
  };
}

async function ask({ name, about, body, span }) {
  setText($("question"), `${name} ${about}?`);
  setText($("yes"), name);
  $("span").hidden = !span;
  $("confirm").returnValue = "";
  $("confirm").showModal();
  await new Promise((done) => $("confirm").addEventListener("close", done, { once: true }));
  if ($("confirm").returnValue !== "yes") return;
  const asked = span ? { ...body, seconds: Number($("seconds").value) } : body;
  const answer = await fetch("actions", { method: "POST", headers: { "Content-Type": "application/json", "X-Traffik-CSRF": csrf }, body: JSON.stringify(asked) });
  const told = await answer.json();
  await poll();
  if (told.problem) setText($("problem"), told.problem);
}

$("pause").onclick = () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (latest) show(latest);
  listen();
};
$("another").onsubmit = (event) => {
  event.preventDefault();
  const identity = $("identity").value.trim(), throttle = $("of").value, name = event.submitter.name;
  const body = { action: name.toLowerCase(), throttle, identity };
  ask({ name, about: `${identity} ${name === "Ban" ? "from" : "in"} ${throttle}`, body, span: name === "Ban" });
};
$("logout").onclick = async () => {
  await fetch("logout", { method: "POST", headers: { "X-Traffik-CSRF": csrf } });
  location.reload();
};
addEventListener("resize", () => { if (latest) showChart(latest.series); });
poll().then(listen);
