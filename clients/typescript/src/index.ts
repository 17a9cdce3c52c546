// A client of Watchfloor's live feed. See docs/clients.md for examples and for what is promised.

export {Feed} from "./feed.ts";
export type {Connecting, Disconnected, Ended, FeedEvent} from "./feed.ts";
export type {FeedOptions, Stream} from "./options.ts";
export {SequenceTracker} from "./sequence.ts";
export type {Connected, Gap, Message, Position, Resumed} from "./sequence.ts";
export {Backoff, adviceFor, retryAfter} from "./closing.ts";
export {THIS_ENVIRONMENT} from "./environment.ts";
export type {Environment, Socket} from "./environment.ts";
export {ADVICE, BEARER_PREFIX, SUBPROTOCOL} from "./contract.ts";
export type * as contract from "./contract.ts";
