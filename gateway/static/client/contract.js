// Written by scripts/typescript_types.py from contracts/; do not edit.
// The messages of contract v1, as JSON has them, and what to do after each close code.
export const SUBPROTOCOL = "noc.v1";
export const BEARER_PREFIX = "bearer.";
/** By close code. */
export const ADVICE = {
    1001: { "reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway stops" },
    1011: { "reconnect": "yes", "delay_s_min": 5, "meaning": "the gateway failed on this connection" },
    1012: { "reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway restarts, or the log behind it is a new one" },
    1013: { "reconnect": "yes", "delay_s_min": 10, "meaning": "this user or tenant has all the connections it can have" },
    4401: { "reconnect": "new_token", "delay_s_min": 0, "meaning": "the token is missing, not valid or expired" },
    4403: { "reconnect": "no", "delay_s_min": 0, "meaning": "the token names no tenant or lacks noc:view" },
    4408: { "reconnect": "yes", "delay_s_min": 1, "meaning": "no authentication in time" },
    4409: { "reconnect": "yes", "delay_s_min": 5, "meaning": "the client does not read as fast as its feed comes" },
    4413: { "reconnect": "no", "delay_s_min": 0, "meaning": "a message of the client was too large" },
    4429: { "reconnect": "yes", "delay_s_min": 60, "meaning": "the client sent too many messages" },
};
