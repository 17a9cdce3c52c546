// What a feed needs of the world around it, so that a test can be that world.

/** The part of a WebSocket that a feed uses. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: {readonly data: unknown}) => void) | null;
  onclose: ((event: {readonly code: number; readonly reason: string}) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Environment {
  readonly connect: (address: string) => Socket;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Calls back later; returns what cancels that. */
  readonly later: (delayMs: number, call: () => void) => () => void;
  /** Numbers in 0..1. */
  readonly chance: () => number;
}

const DELAY_MS_MAX = 2 ** 31 - 1; // timers with more fire at once

/** Browsers, and Node from version 22. */
export const THIS_ENVIRONMENT: Environment = {
  connect: (address) => new WebSocket(address) as unknown as Socket,
  now: () => performance.now(),
  later: (delayMs, call) => {
    const timer = setTimeout(call, Math.min(delayMs, DELAY_MS_MAX));
    return () => clearTimeout(timer);
  },
  chance: Math.random,
};
