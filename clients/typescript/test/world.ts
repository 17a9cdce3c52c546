// A world for a feed: sockets that do what a test says, and a clock that moves when a test says so.

import type {Environment, Socket} from "../src/index.ts";

type Body = Record<string, unknown>;

export class FakeSocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: {readonly data: unknown}) => void) | null = null;
  onclose: ((event: {readonly code: number; readonly reason: string}) => void) | null = null;
  readonly sent: Body[] = [];
  left = false;
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Body);
  }

  close(): void {
    this.left = true;
  }

  /** What the client says of itself, by type. */
  said(type: string): Body[] {
    return this.sent.filter((message) => message["type"] === type);
  }

  open(): this {
    this.onopen?.(undefined as never);
    return this;
  }

  say(body: Body): void {
    this.raw(JSON.stringify(body));
  }

  raw(data: unknown): void {
    this.onmessage?.({data});
  }

  welcome(seq = 0, more: Body = {}): this {
    this.open().say({
      type: "connection_established", timestamp: "2026-03-02T09:00:00.000Z", expires_at: "2026-03-02T10:00:00.000Z",
      tenant_id: 1, epoch: "e1", seq, heartbeat_interval_s: 25, capabilities: [], ...more,
    });
    return this;
  }

  resumed(first: number, last: number, reason: string | null = null): this {
    this.say({type: "resumed", recovered: reason === null, reason, from: first, to: last});
    return this;
  }

  anomaly(seq: number, prev_seq: number, index = 0, of = 1): this {
    this.say({type: "anomaly_detected", seq, prev_seq, part: {index, of}, anomaly_id: `${seq}.${index}`});
    return this;
  }

  end(code: number, reason = ""): void {
    this.onclose?.({code, reason});
  }
}

export class World implements Environment {
  readonly sockets: FakeSocket[] = [];
  chanceNow = 0;
  #now = 0;
  #timers: {at: number; call: () => void}[] = [];

  readonly connect = (address: string): FakeSocket => {
    const socket = new FakeSocket(address);
    this.sockets.push(socket);
    return socket;
  };
  readonly now = (): number => this.#now;
  readonly chance = (): number => this.chanceNow;
  readonly later = (delayMs: number, call: () => void): (() => void) => {
    const timer = {at: this.#now + delayMs, call};
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  get timers(): number {
    return this.#timers.length;
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (last === undefined) throw new Error("nothing was connected yet");
    return last;
  }

  /** Let time pass until the client connects again, or gives up. */
  async nextSocket(): Promise<void> {
    const before = this.sockets.length;
    for (let tenths = 0; tenths < 1200 && this.sockets.length === before && this.timers > 0; tenths += 1) await this.pass(0.1);
  }

  /** Let seconds pass, timer by timer; promises get their turn after each. */
  async pass(seconds: number): Promise<void> {
    const until = this.#now + seconds * 1000;
    await settled();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.at);
      next.call();
      await settled();
    }
    this.#now = until;
  }
}

export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
