// Which messages are new, where some are missing, and where to resume. No socket, no clock.
//
// A subscription's messages carry their tenant's `seq` and `prev_seq`, the seq of the message before on the same
// subscription; so a filtered subscription can tell a loss from a message that is not for it. A record with several
// findings comes as several messages of one seq, told apart by `part`. The same rules in Python are
// clients/python/watchfloor_client/sequence.py; both are run through tests/support/sequence.json.

import type {ConnectionEstablished, ServerMessage} from "./contract.ts";

/** Everything up to `seq` of the log `epoch` was had, and `parts` messages of the record after it. Worth storing. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
  readonly parts: number;
}

/** Signed in; the feed stands at `message.seq` of `message.epoch`. */
export interface Connected {
  readonly kind: "connected";
  readonly message: ConnectionEstablished;
}

/** All that was missed comes again; `missed` numbers of the tenant's feed, with filters some of them for others. */
export interface Resumed {
  readonly kind: "resumed";
  readonly first: number;
  readonly last: number;
  readonly missed: number;
}

/** One message, each once, in order. Types of a later version of the contract come too. */
export interface Message {
  readonly kind: "message";
  readonly message: ServerMessage;
}

/**
 * Messages that this reader did not get: reload what depends on them. `first` and `last` are null where no numbers
 * can be named: the log itself is a new one, or it never came as far as this reader's position.
 */
export interface Gap {
  readonly kind: "gap";
  readonly first: number | null;
  readonly last: number | null;
  /** `lost` (a number is missing on the connection), or the server's word: `too_old`, `log_hole`, … */
  readonly reason: string;
}

export type Told = Connected | Resumed | Message | Gap;

type Body = Readonly<Record<string, unknown>>;

const LOST = "lost";
const JUMP_MAX = 1e9; // no log holds that many records: a higher number, believed, would hide all that follow
const NEW_LOG = "epoch_changed";
const UNSHOWN = new Set(["pong", "refreshed"]);

/** Follows one feed over all its connections: `opened` for each of them, `hear` for every message of the server. */
export class SequenceTracker {
  #epoch: string | null;
  #seq: number; // all of the subscription up to here was had, or was told as a gap
  #previous: number; // what the next message names as its prev_seq if nothing is lost before it
  #parts: number; // messages had of the record seq + 1, where it is not whole yet
  #resuming = false; // asked for the past, not answered yet: heartbeats tell nothing of it
  #standsAt = 0; // the feed itself, when this connection was signed in

  /** `start` is where to go on; null to begin with what comes after the first sign-in. */
  constructor(start: Position | null = null) {
    this.#epoch = start?.epoch ?? null;
    this.#seq = start?.seq ?? 0;
    this.#previous = this.#seq;
    this.#parts = start?.parts ?? 0;
  }

  /** Where the reader stands; null before the first connection. */
  get position(): Position | null {
    return this.#epoch === null ? null : {epoch: this.#epoch, seq: this.#seq, parts: this.#parts};
  }

  /** A connection begins. Returns what to resume from, null where there is no past. */
  opened(): Position | null {
    this.#resuming = this.#epoch !== null;
    return this.position;
  }

  /** Takes the next message of the server; returns what the reader is to be told. */
  hear(body: Body): Told[] {
    const type = body["type"];
    if (typeof type !== "string") return [];
    switch (type) {
      case "connection_established":
        return this.#established(body);
      case "resumed":
        return this.#resumed(body);
      case "gap":
        return this.#skipped(number(body["from"]), number(body["to"]), String(body["reason"]));
      case "heartbeat":
        return this.#heartbeat(number(body["seq"]));
      case "subscribed":
        this.#movedTo(number(body["seq"]));
    }
    if (UNSHOWN.has(type)) return [];
    const message: Message = {kind: "message", message: body as unknown as ServerMessage};
    const seq = number(body["seq"]);
    const previous = number(body["prev_seq"]);
    if (seq === null || previous === null) return [message];
    if (seq - this.#seq > JUMP_MAX) return [];
    const {fresh, gap} = this.#accept(seq, previous, ...part(body));
    return [...(gap === null ? [] : [gap]), ...(fresh ? [message] : [])];
  }

  #established(body: Body): Told[] {
    const epoch = body["epoch"];
    const seq = number(body["seq"]);
    if (typeof epoch !== "string" || seq === null || number(body["tenant_id"]) === null) return [];
    const connected: Connected = {kind: "connected", message: body as unknown as ConnectionEstablished};
    const before = this.#epoch;
    this.#standsAt = seq;
    if (before === epoch) {
      // A server that knows no resume says nothing of the past; the next prev_seq then shows the loss.
      this.#previous = this.#seq;
      return [connected];
    }
    this.#epoch = epoch;
    this.#resuming = false;
    this.#startAt(seq);
    return before === null ? [connected] : [connected, gapOf(null, null, NEW_LOG)];
  }

  #resumed(body: Body): Told[] {
    if (!this.#resuming) return []; // the new log was told already, with connection_established
    this.#resuming = false;
    const first = number(body["from"]);
    const last = number(body["to"]);
    if (body["recovered"] === true) {
      if (first === null || last === null) return [];
      return [{kind: "resumed", first, last, missed: Math.max(0, last - first + 1)}];
    }
    const reason = String(body["reason"]);
    if (first !== null && last !== null && last >= first - 1) return this.#skipped(first, last, reason);
    this.#startAt(last ?? this.#standsAt);
    return [gapOf(null, null, reason)];
  }

  // These are given to nobody: go on behind them.
  #skipped(first: number | null, last: number | null, reason: string): Told[] {
    if (first === null || last === null || last <= this.#seq || last - this.#seq > JUMP_MAX) return [];
    // A record of which some messages came is missing as a whole: those that came may come alone.
    const gap = gapOf(this.#parts > 0 ? this.#seq + 1 : Math.max(first, this.#seq + 1), last, reason);
    this.#startAt(last);
    return [gap];
  }

  // Another subscription begins here; what the one before had to show was sent.
  #movedTo(seq: number | null): void {
    if (seq === null || seq - this.#seq > JUMP_MAX) return;
    this.#startAt(Math.max(seq, this.#seq));
    this.#previous = seq;
  }

  // All of this subscription up to here was sent before: a filtered reader resumes from there.
  #heartbeat(seq: number | null): Told[] {
    if (seq === null || seq <= this.#seq || seq - this.#seq > JUMP_MAX || this.#resuming) return [];
    const broken = this.#parts > 0;
    const gap = gapOf(this.#seq + 1, this.#seq + 1, LOST);
    // #previous stays: the next message names the one before it on this subscription, not this place.
    if (broken) this.#previous = this.#seq + 1;
    this.#seq = seq;
    this.#parts = 0;
    return broken ? [gap] : [];
  }

  // Whether a message is new, and the gap before it; `index` counts the parts of its record from 0.
  #accept(seq: number, previous: number, index: number, of: number): {fresh: boolean; gap: Gap | null} {
    const begun = seq === this.#seq + 1 ? this.#parts : 0;
    if (seq <= this.#seq || index < begun) return {fresh: false, gap: null};
    let first = this.#previous + 1;
    let last = Math.min(previous, seq - 1);
    if (this.#parts > 0 && begun === 0) {
      first = this.#seq + 1;
      last = Math.max(last, first);
    }
    if (index > begun) {
      first = last >= first ? Math.min(first, seq) : seq;
      last = seq;
    }
    this.#previous = seq;
    const whole = index + 1 >= of;
    this.#seq = whole ? seq : seq - 1;
    this.#parts = whole ? 0 : index + 1;
    return {fresh: true, gap: last >= first ? gapOf(first, last, LOST) : null};
  }

  #startAt(seq: number): void {
    this.#seq = this.#previous = seq;
    this.#parts = 0;
  }
}

function gapOf(first: number | null, last: number | null, reason: string): Gap {
  return {kind: "gap", first, last, reason};
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isInteger(value) ? value : null;
}

// Which one it is, from 0, and how many there are of a record's messages; most records are one.
function part(body: Body): [number, number] {
  const given = body["part"];
  if (typeof given !== "object" || given === null) return [0, 1];
  const index = number((given as Body)["index"]);
  const of = number((given as Body)["of"]);
  return index === null || of === null ? [0, 1] : [index, of];
}
