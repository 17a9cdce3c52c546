// One connection to the feed: sign-in, silence watchdog, reconnecting by the close code's advice.
// Knows nothing of the page; reports through the handlers it is given.

import {adviceFor, delayMs} from "/closing.js";

const OPEN_TIMEOUT_MS = 10_000;
const STABLE_AFTER_MS = 30_000; // connected for this long: the next failure starts at the shortest delay again

export class Connection {
  #token; #on; #socket = null; #retryTimer = 0; #watchdog = 0; #attempt = 0; #silenceMs = OPEN_TIMEOUT_MS;
  #establishedAt = 0; #stopped = false;

  constructor(token, handlers) {
    this.#token = token;
    this.#on = handlers; // state(name, detail), established(message), message(message), heard()
  }

  start() {
    this.#stopped = false;
    this.#open();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    this.#drop();
  }

  // Now instead of when the delay is over; does nothing on a living connection.
  retryNow() {
    if (this.#stopped || this.#socket !== null) return;
    clearTimeout(this.#retryTimer);
    this.#open();
  }

  #open() {
    this.#on.state("connecting", {});
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/noc/dashboard/`);
    this.#socket = socket;
    this.#establishedAt = 0;
    this.#silenceMs = OPEN_TIMEOUT_MS;
    this.#watch();
    socket.onopen = () => socket.send(JSON.stringify({type: "authenticate", token: this.#token}));
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
  }

  #receive(data) {
    this.#watch();
    this.#on.heard();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not of this protocol; a newer server may speak more than this page knows
    }
    if (message.type === "connection_established") {
      this.#establishedAt = performance.now();
      this.#silenceMs = 2000 * message.heartbeat_interval_s;
      this.#watch();
      this.#on.state("live", {});
      this.#on.established(message);
    } else {
      this.#on.message(message);
    }
  }

  // Browsers do not show protocol pings to a page: whatever arrives proves that the connection lives.
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#drop();
      this.#closed(1006, "nothing was heard for too long");
    }, this.#silenceMs);
  }

  #drop() {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #closed(code, reason) {
    clearTimeout(this.#watchdog);
    this.#socket = null;
    if (this.#stopped) return;
    const advice = adviceFor(code);
    const detail = {code, reason: reason || advice.meaning};
    if (advice.reconnect === "new_token") {
      this.#stopped = true;
      this.#on.state("rejected", detail);
      return;
    }
    if (advice.reconnect === "no") {
      this.#stopped = true;
      this.#on.state("refused", detail);
      return;
    }
    if (this.#establishedAt && performance.now() - this.#establishedAt > STABLE_AFTER_MS) this.#attempt = 0;
    const delay = delayMs(advice, this.#attempt);
    this.#attempt += 1;
    this.#on.state("waiting", {...detail, retryAt: Date.now() + delay});
    this.#retryTimer = setTimeout(() => this.#open(), delay);
  }
}
