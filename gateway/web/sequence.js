// Where this page stands in its tenant's feed: repeats are dropped, losses are noticed. No DOM, no socket.

export class Sequence {
  #epoch = null; #seq = 0; #parts = new Set();

  get seq() {
    return this.#seq;
  }

  // A connection begins at a position. Returns how many messages passed while there was none.
  begin(epoch, seq) {
    const missed = this.#epoch === epoch ? Math.max(0, seq - this.#seq) : 0;
    this.#epoch = epoch;
    this.#seq = seq;
    this.#parts.clear();
    return missed;
  }

  // Returns {fresh, missing}: whether to show the message, and the range that is missing before it, if any.
  take(message) {
    const part = message.part?.index ?? 0;
    if (message.seq < this.#seq) return {fresh: false, missing: null};
    if (message.seq === this.#seq) {
      const fresh = message.part !== undefined && this.#parts.size > 0 && !this.#parts.has(part);
      this.#parts.add(part);
      return {fresh, missing: null};
    }
    const missing = message.prev_seq > this.#seq ? {from: this.#seq + 1, to: message.prev_seq} : null;
    this.#seq = message.seq;
    this.#parts = new Set([part]);
    return {fresh: true, missing};
  }
}
