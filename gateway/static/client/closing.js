// What a client does after a close, and how long it waits. The delays grow until a connection has lived for a while:
// a gateway that takes connections and drops them at once is not hammered. The same rules in Python are
// clients/python/watchfloor_client/closing.py.
import { ADVICE } from "./contract.js";
const UNKNOWN = { reconnect: "yes", delay_s_min: 1, meaning: "the gateway cannot be reached" };
const RETRY_AFTER = /^retry_after_s=(\d{1,9})\b[;\s]*/;
const RETRY_AFTER_S_MAX = 3600;
const DOUBLINGS_MAX = 16;
/** What the contract says of a close code; null and unknown codes are a broken connection. */
export function adviceFor(code) {
    return (code === null ? undefined : ADVICE[code]) ?? UNKNOWN;
}
/** The seconds that a close reason asks for, 0 where it asks for none, and the rest of the reason. */
export function retryAfter(reason) {
    const asked = RETRY_AFTER.exec(reason);
    if (asked === null)
        return { seconds: 0, rest: reason };
    return { seconds: Math.min(Number(asked[1]), RETRY_AFTER_S_MAX), rest: reason.slice(asked[0].length) };
}
/** The delays between the connections of one client. */
export class Backoff {
    #options;
    #attempt = 0;
    constructor(options) {
        this.#options = options;
    }
    /** How long to wait before the next connection; `askedS` is what the server asked for: at least that is waited. */
    nextDelayS(advice, livedS, askedS = 0) {
        const { delayS, delayMaxS, stableAfterS, chance } = this.#options;
        if (livedS >= stableAfterS)
            this.#attempt = 0;
        const first = Math.max(delayS, advice.delay_s_min);
        const grown = first * 2 ** Math.min(this.#attempt, DOUBLINGS_MAX);
        const ceiling = Math.min(grown, Math.max(delayMaxS, advice.delay_s_min));
        this.#attempt += 1;
        // Between half of it and all of it; above what the server asked for, never below.
        const share = chance() / 2;
        return Math.max(ceiling * (0.5 + share), askedS * (1 + share));
    }
}
