// The list of messages: rendering, its bound, the severity filters, the counters and the marks on rows.
// Text from messages becomes text nodes only, never markup.

import {plain} from "/words.js";
import {describe} from "/describe.js";

const ROWS_MAX = 300;
const ANNOUNCE_EVERY_MS = 5000;
const MARKS_MAX = 1000;

const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false});

export class MessageList {
  #list; #empty; #window; #announcer; #watch; #marks = new Map(); #pending = []; #drawing = false; #hidden = new Set(); #counts = new Map();
  #chips = new Map(); #shown = 0; #unannounced = []; #announcing = false;

  // `watch` is told which rows come and go, so that it can say which of them were looked at.
  constructor({list, empty, window, announcer, chips, watch}) {
    this.#list = list;
    this.#empty = empty;
    this.#window = window;
    this.#announcer = announcer;
    this.#watch = watch;
    for (const chip of chips) {
      this.#chips.set(chip.dataset.level, chip);
      chip.addEventListener("click", () => this.#toggle(chip));
    }
  }

  add(message) {
    const row = describe(message);
    if (row === null) return;
    this.#counts.set(row.level, (this.#counts.get(row.level) ?? 0) + 1);
    this.#push(row);
    if (row.level === "CRITICAL" || row.level === "HIGH") this.#announce(row);
  }

  // A line between messages: what was not received.
  note(text) {
    this.#push({level: "NOTE", title: text});
  }

  // A line in the row of this message: who has looked at it, or that nobody has. Returns whether there is such a row.
  mark(id, kind, text) {
    this.#marks.delete(id);
    this.#marks.set(id, {kind, text});
    if (this.#marks.size > MARKS_MAX) this.#marks.delete(this.#marks.keys().next().value);
    const item = [...this.#list.children].find((each) => each.dataset.id === id);
    if (item !== undefined) showMark(item, {kind, text});
    return item !== undefined || this.#pending.some((row) => row.id === id);
  }

  // One sentence for a screen reader.
  say(text) {
    this.#announcer.textContent = plain(text);
  }

  clear() {
    this.#watch.forgetAll();
    this.#marks.clear();
    this.#list.replaceChildren();
    this.#pending = [];
    this.#counts.clear();
    this.#shown = 0;
    this.#unannounced = [];
    this.#announcer.textContent = "";
    this.#draw();
  }

  #push(row) {
    this.#pending.push(row);
    this.#shown += row.level === "NOTE" ? 0 : 1;
    // A hidden tab draws nothing: what it would drop from the list anyway is dropped here.
    if (this.#pending.length > ROWS_MAX) this.#pending.shift();
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawing = false;
    const rows = this.#pending.map((row) => this.#element(row)).reverse();
    this.#pending = [];
    this.#list.prepend(...rows);
    for (const item of rows) if (item.dataset.id) this.#watch.watch(item, item.dataset.id);
    while (this.#list.children.length > ROWS_MAX) {
      this.#watch.forget(this.#list.lastElementChild);
      this.#list.lastElementChild.remove();
    }
    this.#empty.hidden = this.#list.children.length > 0;
    for (const [level, chip] of this.#chips) chip.querySelector("b").textContent = this.#counts.get(level) ?? 0;
    this.#window.textContent =
      this.#shown > ROWS_MAX ? `newest ${ROWS_MAX} of ${this.#shown.toLocaleString()}` : `${this.#shown} since sign-in`;
  }

  #element(row) {
    const item = document.createElement("li");
    item.dataset.level = row.level;
    item.hidden = this.#hidden.has(row.level);
    if (row.level === "NOTE") {
      item.className = "between";
      item.textContent = plain(row.title);
      return item;
    }
    const time = element("time", "time", row.at ? clock.format(row.at) : "–");
    if (row.at) {
      time.dateTime = row.at.toISOString();
      time.title = row.at.toISOString();
    }
    const what = element("div", "what");
    what.append(element("p", "title", row.title));
    const detail = element("p", "detail");
    detail.append(element("code", "kind", row.kind), document.createTextNode(row.detail ? ` ${row.detail}` : ""));
    what.append(detail);
    if (row.evidence?.length > 0) what.append(evidence(row.evidence));
    if (row.id) item.dataset.id = row.id;
    const where = element("div", "where");
    where.append(element("p", "", row.where), element("p", "detail", row.whereDetail));
    item.append(time, element("span", "badge", row.badge), what, where, element("span", "latency", row.latency));
    if (this.#marks.has(row.id)) showMark(item, this.#marks.get(row.id));
    return item;
  }

  #toggle(chip) {
    const level = chip.dataset.level;
    const show = this.#hidden.has(level);
    if (show) this.#hidden.delete(level);
    else this.#hidden.add(level);
    chip.setAttribute("aria-pressed", String(show));
    for (const item of this.#list.children) item.hidden = this.#hidden.has(item.dataset.level);
  }

  // A screen reader hears one sentence now and then, not every row of a storm.
  #announce(row) {
    this.#unannounced.push(row);
    if (this.#unannounced.length > ROWS_MAX) this.#unannounced.shift();
    if (this.#announcing) return;
    this.#announcing = true;
    this.#say();
    setTimeout(() => {
      this.#announcing = false;
      if (this.#unannounced.length > 0) this.#announce(this.#unannounced.pop());
    }, ANNOUNCE_EVERY_MS);
  }

  #say() {
    const worst = this.#unannounced.find((row) => row.level === "CRITICAL") ?? this.#unannounced.at(-1);
    const others = this.#unannounced.length - 1;
    this.#announcer.textContent = plain(`${worst.badge}: ${worst.title}`) + (others > 0 ? `, and ${others} more` : "");
    this.#unannounced = [];
  }
}

function showMark(item, {kind, text}) {
  item.querySelector(".mark")?.remove();
  const mark = element("p", "mark", text);
  mark.dataset.mark = kind;
  item.querySelector(".what").append(mark);
}

// Closed until somebody wants to know why.
function evidence(facts) {
  const made = element("details", "evidence");
  const table = document.createElement("dl");
  for (const [name, value] of facts) table.append(element("dt", "", name), element("dd", "", value));
  made.append(element("summary", "", "Evidence"), table);
  return made;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = plain(text);
  return made;
}
