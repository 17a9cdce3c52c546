// The list of messages: rendering, its bound, the severity filters and the counters.
// Text from messages becomes text nodes only, never markup.

const ROWS_MAX = 300;
const ANNOUNCE_EVERY_MS = 5000;
const LEVELS = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"];

const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false});

export class Feed {
  #list; #empty; #window; #announcer; #pending = []; #drawing = false; #hidden = new Set(); #counts = new Map();
  #chips = new Map(); #shown = 0; #unannounced = []; #announcing = false;

  constructor({list, empty, window, announcer, chips}) {
    this.#list = list;
    this.#empty = empty;
    this.#window = window;
    this.#announcer = announcer;
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

  clear() {
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
    while (this.#list.children.length > ROWS_MAX) this.#list.lastElementChild.remove();
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
      item.textContent = row.title;
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
    const where = element("div", "where");
    where.append(element("p", "", row.where), element("p", "detail", row.whereDetail));
    item.append(time, element("span", "badge", row.badge), what, where, element("span", "latency", row.latency));
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
    this.#announcer.textContent = `${worst.badge}: ${worst.title}` + (others > 0 ? `, and ${others} more` : "");
    this.#unannounced = [];
  }
}

function describe(message) {
  switch (message.type) {
    case "anomaly_detected":
      return {
        level: LEVELS.includes(message.severity) ? message.severity : "INFO",
        badge: message.severity,
        at: date(message.created_at),
        title: message.title,
        kind: message.anomaly_type,
        detail: message.description,
        where: message.site_name ?? numbered("Site", message.site_id),
        whereDetail: message.person_name ?? numbered("Person", message.person_id),
        latency: milliseconds(message.detection_latency_ms),
      };
    case "ticket_updated":
      return {
        level: "TICKET",
        badge: "TICKET",
        at: date(message.updated_at ?? message.timestamp),
        title: `${message.ticket_no ?? `Ticket ${message.ticket_id}`}: ${words(message.old_status)} → ${words(message.new_status)}`,
        kind: message.priority ?? "NO PRIORITY",
        detail: message.description,
        where: message.site_name ?? numbered("Site", message.site_id),
        whereDetail: message.assigned_to === null ? "unassigned" : `assigned to ${message.assigned_to}`,
        latency: "",
      };
    case "rate_limited":
      return {
        level: "LIMIT",
        badge: "LIMIT",
        at: date(message.window),
        title: `${message.dropped.toLocaleString()} events were not scored`,
        kind: "RATE_LIMITED",
        detail: `A burst went over the limit of ${message.limit} events per window.`,
        where: "Whole tenant",
        whereDetail: "",
        latency: "",
      };
    default:
      return null;
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function date(text) {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? null : parsed;
}

function numbered(noun, id) {
  return id === null || id === undefined ? "" : `${noun} ${id}`;
}

function words(status) {
  return status.toLowerCase().replaceAll("_", " ");
}

function milliseconds(value) {
  if (typeof value !== "number") return "";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}
