// A feed that stays connected: sign-in, resume, reconnection by the server's advice. Never shows a token: it goes into
// the first message, or into a refresh, and nowhere else.
import { Backoff, adviceFor, retryAfter } from "./closing.js";
import { Connection } from "./connection.js";
import { THIS_ENVIRONMENT } from "./environment.js";
import { addressOf, signIn } from "./options.js";
import { Receipts } from "./receipts.js";
import { SequenceTracker } from "./sequence.js";
import { Upkeep } from "./upkeep.js";
// Tokens that are new each time and refused each time are made with another secret than the gateway's.
const REFUSALS_MAX = 2;
export class Feed {
    #options;
    #environment;
    #address;
    #tracker;
    #receipts = new Receipts();
    #backoff;
    #connection = null;
    #upkeep = null;
    #attempt = 0; // counts openings: what belongs to an earlier one is passed over
    #running = false;
    #token = "";
    #refusedToken = null;
    #refusals = 0; // in a row, without a sign-in between them
    #refusal = ""; // the last one's reason
    #signedInAt = null;
    #position;
    #heardAt = null;
    #cancelRetry = null;
    /** Prepares; nothing is connected yet. Throws a TypeError where the address is no good. */
    constructor(options) {
        this.#options = options;
        this.#environment = options.environment ?? THIS_ENVIRONMENT;
        this.#address = addressOf(options);
        this.#tracker = new SequenceTracker(options.since ?? null);
        this.#position = options.since ?? null;
        this.#backoff = new Backoff({
            delayS: options.retryDelayS ?? 0.5,
            delayMaxS: options.retryDelayMaxS ?? 60,
            stableAfterS: options.stableAfterS ?? 10,
            chance: this.#environment.chance,
        });
    }
    /** Behind the event that was told last; null before the first sign-in. Stored, it is `since` of another feed. */
    get position() {
        return this.#position;
    }
    /** When anything was heard last, in milliseconds of the environment's clock; null where nothing was. */
    get heardAt() {
        return this.#heardAt;
    }
    /** Connect, and stay connected. Does nothing on a running feed. */
    start() {
        if (this.#running)
            return;
        this.#running = true;
        this.#refusedToken = null;
        this.#refusals = 0;
        void this.#open();
    }
    /** Disconnect. The position stays: `start` goes on from it. */
    stop() {
        this.#running = false;
        this.#attempt += 1;
        this.#cancelRetry?.();
        this.#cancelRetry = null;
        this.#drop()?.leave();
    }
    /** Try now instead of when the delay is over; does nothing while there is a connection. */
    retryNow() {
        if (this.#cancelRetry === null)
            return;
        this.#cancelRetry();
        void this.#open();
    }
    /** Tell the gateway, with the next receipts, that a person has looked at these messages. */
    seen(ids) {
        this.#receipts.seen(ids);
    }
    async #open() {
        this.#cancelRetry = null;
        this.#signedInAt = null;
        const attempt = ++this.#attempt;
        this.#tell({ kind: "connecting" });
        let token;
        try {
            token = await this.#options.token();
        }
        catch (error) {
            if (attempt === this.#attempt)
                this.#closed(null, `no token: ${error instanceof Error ? error.message : error}`);
            return;
        }
        if (attempt !== this.#attempt)
            return;
        if (token === this.#refusedToken || this.#refusals >= REFUSALS_MAX) {
            this.#end(4401, this.#refusal, true);
            return;
        }
        this.#token = token;
        this.#connection = new Connection({
            environment: this.#environment,
            address: this.#address,
            first: signIn(this.#options, token, this.#tracker.opened()),
            openTimeoutS: this.#options.openTimeoutS ?? 10,
            onMessage: (body) => this.#hear(body, attempt),
            onHeard: () => {
                this.#heardAt = this.#environment.now();
            },
            onClosed: (code, reason) => this.#closed(code, reason),
        });
    }
    #hear(body, attempt) {
        const told = this.#tracker.hear(body);
        if (this.#upkeep === null && told[0]?.kind === "connected") {
            this.#established(told[0].message.heartbeat_interval_s);
        }
        this.#upkeep?.hear(body);
        for (const [place, event] of told.entries()) {
            if (attempt !== this.#attempt)
                return; // the reader has stopped the feed meanwhile
            // Behind the last event of a frame, not before: what is stored then is dealt with.
            if (place === told.length - 1)
                this.#position = this.#tracker.position;
            this.#tell(event);
        }
        if (told.length === 0)
            this.#position = this.#tracker.position;
        else if ("prev_seq" in body && this.#position !== null && told.at(-1)?.kind === "message") {
            this.#receipts.received(this.#position.seq);
        }
    }
    #established(heartbeatIntervalS) {
        const connection = this.#connection;
        if (connection === null)
            return;
        this.#refusedToken = null;
        this.#refusals = 0;
        this.#signedInAt = this.#environment.now();
        if (heartbeatIntervalS > 0)
            connection.expectEvery(heartbeatIntervalS);
        this.#upkeep = new Upkeep({
            environment: this.#environment,
            send: (message) => connection.send(message),
            receipts: this.#receipts,
            receiptsIntervalS: this.#options.receiptsIntervalS ?? 5,
            refreshBeforeS: this.#options.refreshBeforeS ?? 60,
            token: this.#token,
            newToken: this.#options.token,
        });
    }
    #closed(code, said) {
        this.#drop();
        const advice = adviceFor(code);
        const { seconds, rest } = retryAfter(said);
        const reason = rest || advice.meaning;
        if (code !== null && advice.reconnect === "no") {
            this.#end(code, reason, false);
            return;
        }
        if (advice.reconnect === "new_token") {
            this.#refusedToken = this.#token;
            this.#refusals += 1;
            this.#refusal = reason;
        }
        const livedS = this.#signedInAt === null ? 0 : (this.#environment.now() - this.#signedInAt) / 1000;
        const retryInS = this.#backoff.nextDelayS(advice, livedS, seconds);
        this.#cancelRetry = this.#environment.later(retryInS * 1000, () => void this.#open());
        this.#tell({ kind: "disconnected", code, reason, retryInS });
    }
    #end(code, reason, needsToken) {
        this.#running = false;
        this.#attempt += 1;
        this.#tell({ kind: "ended", code, reason, needsToken });
    }
    #drop() {
        const connection = this.#connection;
        this.#connection = null;
        this.#upkeep?.end();
        this.#upkeep = null;
        return connection;
    }
    #tell(event) {
        this.#options.onEvent(event);
    }
}
