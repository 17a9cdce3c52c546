// Where a feed connects, what it asks for and how patient it is.

import type {Authenticate} from "./contract.ts";
import type {Environment} from "./environment.ts";
import type {FeedEvent} from "./feed.ts";
import type {Position} from "./sequence.ts";

export type Stream = "dashboard" | "anomaly";

export interface FeedOptions {
  /** `ws://` or `wss://`, host and port; with a path where a proxy serves the gateway below one. */
  readonly url: string;
  /** Called before each connection and before a token ends, so that a renewed one is taken up. */
  readonly token: () => string | Promise<string>;
  /** Called with what happens, one event at a time. */
  readonly onEvent: (event: FeedEvent) => void;
  readonly stream?: Stream;
  /** Send the token over `ws://` to another machine. */
  readonly allowPlaintext?: boolean;
  /** Show messages of these clients only; empty: of all that the token allows. */
  readonly clientIds?: readonly number[];
  /** Show messages of these sites only; empty: of all that the token allows. */
  readonly siteIds?: readonly number[];
  /** Go on from here; null: with what comes after the first sign-in. */
  readonly since?: Position | null;
  /** Without an answer to the sign-in for so long the connection is given up. */
  readonly openTimeoutS?: number;
  readonly retryDelayS?: number;
  readonly retryDelayMaxS?: number;
  /** A connection that was signed in for so long resets the growing delay. */
  readonly stableAfterS?: number;
  /** The gateway is told what was received and seen at most this often. */
  readonly receiptsIntervalS?: number;
  /** A new token is asked for so long before the old one ends, or at half its life where that is shorter. */
  readonly refreshBeforeS?: number;
  readonly environment?: Environment;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
const PATHS: Readonly<Record<Stream, string>> = {dashboard: "/ws/noc/dashboard/", anomaly: "/ws/noc/anomaly-stream/"};

/** The URL of the endpoint. Throws where it is no WebSocket URL, or would carry the token readable to others. */
export function addressOf(options: FeedOptions): string {
  let url: URL;
  try {
    url = new URL(options.url);
  } catch {
    throw new TypeError(`${options.url} is not a WebSocket address`);
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new TypeError(`${options.url} is not a WebSocket address`);
  }
  if (url.search || url.username || url.password) {
    throw new TypeError("the WebSocket address holds a query or a password: tokens go into the first message");
  }
  if (url.protocol === "ws:" && !options.allowPlaintext && !LOOPBACK.test(url.hostname)) {
    throw new TypeError(`the token would cross the network to ${url.hostname} readable to everybody: use wss`);
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}${PATHS[options.stream ?? "dashboard"]}`;
}

/** The first message of a connection. */
export function signIn(options: FeedOptions, token: string, position: Position | null): Authenticate {
  return {
    type: "authenticate",
    token,
    ...(position === null ? {} : {resume: {epoch: position.epoch, seq: position.seq}}),
    ...(options.clientIds?.length ? {client_ids: options.clientIds} : {}),
    ...(options.siteIds?.length ? {site_ids: options.siteIds} : {}),
  };
}
