// One socket from its opening to its end: the sign-in, JSON, silence. Decides nothing about what is said.
const NO_CODE = 1006; // what browsers say of a connection that ended without a close frame
export class Connection {
    #options;
    #socket;
    #silenceMs;
    #cancelWatch = () => { };
    constructor(options) {
        this.#options = options;
        this.#silenceMs = options.openTimeoutS * 1000;
        this.#socket = options.environment.connect(options.address);
        this.#socket.onopen = () => this.send(options.first);
        this.#socket.onmessage = (event) => this.#receive(event.data);
        this.#socket.onclose = (event) => this.#end(event.code, event.reason);
        this.#watch();
    }
    /** Browsers do not show protocol pings to a page: hearing nothing for so long means that the connection is dead. */
    expectEvery(seconds) {
        this.#silenceMs = 2000 * seconds;
        this.#watch();
    }
    send(message) {
        this.#socket.send(JSON.stringify(message));
    }
    /** Close it and hear no more of it. */
    leave() {
        this.#cancelWatch();
        this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
        this.#socket.close();
    }
    #receive(data) {
        this.#watch();
        this.#options.onHeard();
        let body;
        try {
            body = JSON.parse(String(data));
        }
        catch {
            return; // not of this protocol; what it replaced shows as a gap
        }
        if (typeof body === "object" && body !== null)
            this.#options.onMessage(body);
    }
    #watch() {
        this.#cancelWatch();
        this.#cancelWatch = this.#options.environment.later(this.#silenceMs, () => {
            this.#end(NO_CODE, `nothing was heard for ${Math.round(this.#silenceMs / 1000)} s`);
        });
    }
    #end(code, reason) {
        this.leave();
        this.#options.onClosed(code, reason);
    }
}
