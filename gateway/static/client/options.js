// Where a feed connects, what it asks for and how patient it is.
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
const PATHS = { dashboard: "/ws/noc/dashboard/", anomaly: "/ws/noc/anomaly-stream/" };
/** The URL of the endpoint. Throws where it is no WebSocket URL, or would carry the token readable to others. */
export function addressOf(options) {
    let url;
    try {
        url = new URL(options.url);
    }
    catch {
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
export function signIn(options, token, position) {
    return {
        type: "authenticate",
        token,
        ...(position === null ? {} : { resume: { epoch: position.epoch, seq: position.seq } }),
        ...(options.clientIds?.length ? { client_ids: options.clientIds } : {}),
        ...(options.siteIds?.length ? { site_ids: options.siteIds } : {}),
    };
}
