// A client of Watchfloor's live feed. See docs/clients.md for examples and for what is promised.
export { Feed } from "./feed.js";
export { SequenceTracker } from "./sequence.js";
export { Backoff, adviceFor, retryAfter } from "./closing.js";
export { THIS_ENVIRONMENT } from "./environment.js";
export { ADVICE, BEARER_PREFIX, SUBPROTOCOL } from "./contract.js";
