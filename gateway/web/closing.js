// What to do after each close code: the same table as contracts/messages.py, compared by a test.

export const ADVICE = {
  "1001": {"reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway stops"},
  "1011": {"reconnect": "yes", "delay_s_min": 5, "meaning": "the gateway failed on this connection"},
  "1012": {"reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway restarts, or the log behind it is a new one"},
  "1013": {"reconnect": "yes", "delay_s_min": 10, "meaning": "this user or tenant has all the connections it can have"},
  "4401": {"reconnect": "new_token", "delay_s_min": 0, "meaning": "the token is missing, not valid or expired"},
  "4403": {"reconnect": "no", "delay_s_min": 0, "meaning": "the token names no tenant or lacks noc:view"},
  "4408": {"reconnect": "yes", "delay_s_min": 1, "meaning": "no authentication in time"},
  "4409": {"reconnect": "yes", "delay_s_min": 5, "meaning": "the client does not read as fast as its feed comes"},
  "4413": {"reconnect": "no", "delay_s_min": 0, "meaning": "a message of the client was too large"},
  "4429": {"reconnect": "yes", "delay_s_min": 60, "meaning": "the client sent too many messages"}
};

const UNKNOWN = {reconnect: "yes", delay_s_min: 1, meaning: "the gateway cannot be reached"};
const DELAY_S_MAX = 60;

export function adviceFor(code) {
  return ADVICE[String(code)] ?? UNKNOWN;
}

// Doubled by each failed attempt; between half of it and all of it, so that many pages do not come back at once.
export function delayMs(advice, attempt, random = Math.random) {
  const full = Math.min(Math.max(DELAY_S_MAX, advice.delay_s_min), advice.delay_s_min * 2 ** attempt);
  return Math.round(1000 * full * (0.5 + random() / 2));
}
