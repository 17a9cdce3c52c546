// What the gateway is still to be told of messages received and seen. Asked for every few seconds, so a connection
// stays far below the gateway's limit of messages a minute. The same rules in Python are clients/python/watchfloor_client/receipts.py.

import type {Received, Seen} from "./contract.ts";

const SEEN_IDS_MAX = 100; // of one message, by the contract
const WAITING_MAX = 1000;

/** Of one feed over all its connections. */
export class Receipts {
  #received: number | null = null;
  #told: number | null = null;
  readonly #seen = new Set<string>(); // in the order of arrival; the oldest leave when there are too many

  /** Everything up to `seq` is with the reader. */
  received(seq: number): void {
    this.#received = seq;
  }

  /** A person has looked at these: `anomaly_id` on the dashboard, a finding's `id` on the stream. */
  seen(ids: Iterable<string>): void {
    for (const id of ids) this.#seen.add(id);
    for (const id of this.#seen) {
      if (this.#seen.size <= WAITING_MAX) break;
      this.#seen.delete(id);
    }
  }

  /** What was told last may have been lost with the connection: it is told again. */
  reconnected(): void {
    this.#told = null;
  }

  /** The messages to send now; at most two, so that nothing of it can flood. */
  due(): (Received | Seen)[] {
    const messages: (Received | Seen)[] = [];
    if (this.#received !== null && this.#received !== this.#told) {
      this.#told = this.#received;
      messages.push({type: "received", seq: this.#received});
    }
    const ids = [...this.#seen].slice(0, SEEN_IDS_MAX);
    if (ids.length > 0) {
      for (const id of ids) this.#seen.delete(id);
      messages.push({type: "seen", ids});
    }
    return messages;
  }
}
