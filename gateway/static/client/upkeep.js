// What a signed-in connection sends by itself: receipts, and a new token before the old one ends.
const REFRESH_ID = "refresh";
const RETRY_MS_MIN = 5000;
const WAIT_MS_MAX = 3_600_000;
/** Begins when the sign-in is answered; ends with the connection. */
export class Upkeep {
    #options;
    #token;
    #endsAt = Infinity;
    #renewAt = Infinity;
    #ended = false;
    #cancelReceipts = () => { };
    #cancelRenewal = () => { };
    constructor(options) {
        this.#options = options;
        this.#token = options.token;
        options.receipts.reconnected();
        this.#acknowledge();
    }
    end() {
        this.#ended = true;
        this.#cancelReceipts();
        this.#cancelRenewal();
    }
    /** Note when the token ends: `connection_established` and `refreshed` say so. */
    hear(body) {
        if (body["type"] !== "connection_established" && body["type"] !== "refreshed")
            return;
        // By the server's own clock: this one may be wrong.
        const lifeMs = Date.parse(String(body["expires_at"])) - Date.parse(String(body["timestamp"]));
        if (!Number.isFinite(lifeMs))
            return;
        const now = this.#options.environment.now();
        this.#endsAt = now + Math.max(0, lifeMs);
        this.#renewAt = now + Math.max(lifeMs / 2, lifeMs - this.#options.refreshBeforeS * 1000);
        this.#wait();
    }
    #acknowledge() {
        const { environment, receipts, receiptsIntervalS, send } = this.#options;
        this.#cancelReceipts = environment.later(receiptsIntervalS * 1000, () => {
            for (const message of receipts.due())
                send(message);
            this.#acknowledge();
        });
    }
    #wait() {
        this.#cancelRenewal();
        const { environment } = this.#options;
        const left = this.#renewAt - environment.now();
        this.#cancelRenewal = environment.later(Math.min(Math.max(0, left), WAIT_MS_MAX), () => {
            if (this.#renewAt <= environment.now())
                void this.#renew();
            else
                this.#wait();
        });
    }
    async #renew() {
        const now = this.#options.environment.now();
        // Until the answer says otherwise: once more, when half of what is left has passed.
        this.#renewAt = now + Math.max((this.#endsAt - now) / 2, RETRY_MS_MIN);
        this.#wait();
        let token;
        try {
            token = await this.#options.newToken();
        }
        catch {
            return; // the connection lives until the old token ends; then it is asked again
        }
        if (this.#ended || token === this.#token)
            return;
        this.#token = token;
        this.#options.send({ type: "refresh", token, request_id: REFRESH_ID });
    }
}
