// The page: takes the token, runs the feed, shows its state and hands messages to the list.

import {Feed} from "/client/index.js";
import {MessageList} from "/list.js";
import {SeenWatch} from "/seen.js";
import {duration, feedStatusText, gapText, identityOf, seenByText, unseenNote, unseenText} from "/words.js";

const TOKEN_KEY = "watchfloor.token";
const TICK_MS = 1000;
const STALE_AFTER_MS = 40_000;
const STATE_TEXTS = {connecting: "Connecting…", waiting: "Disconnected", refused: "Refused", "signed-out": "Signed out"};
const RECEIPTS_INTERVAL_S = 2; // 60 messages a minute at most; the gateway takes 100

const $ = (id) => document.getElementById(id);
const list = new MessageList({
  list: $("feed"),
  empty: $("empty"),
  window: $("window"),
  announcer: $("announcer"),
  chips: document.querySelectorAll(".chip"),
  watch: new SeenWatch($("feed"), (id) => feed?.seen([id])),
});
const status = {state: "signed-out", since: 0, retryAt: 0, detail: "", feed: "live"};
let feed = null;

// A link carries a code that works once. It leaves the address before anything else happens.
function codeFromAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (said.has("code") || said.has("token")) history.replaceState(null, "", location.pathname);
  return said.get("code");
}

async function followLink(code) {
  let reason = "The gateway does not answer";
  try {
    const answer = await post("sign-in", `Code ${code}`);
    if (answer.ok) return ask((await answer.json()).token);
    reason = (await answer.text()).trim();
  } catch {} // what is said below is all that is known
  if (feed === null) signOut(`Not signed in by the link: ${reason}.`);
}

// A link may be anybody's: nobody is signed in by one, or becomes somebody else, without a word.
function ask(token) {
  const now = identityOf(sessionStorage.getItem(TOKEN_KEY) ?? "");
  const then = identityOf(token);
  if (now === then) return signIn(token);
  $("question-text").textContent =
    `The link that you opened signs you in as ${then}. ` + (now ? `Now you are ${now}.` : "Go on only if that is you.");
  showQuestion(true);
  $("question-yes").onclick = () => {
    showQuestion(false);
    signIn(token);
  };
  $("question-no").onclick = () => {
    showQuestion(false);
    if (feed === null) signOut("");
  };
  $("question-no").focus();
}

function showQuestion(open) {
  $("question").hidden = !open;
  $("sign-in").hidden = open || feed !== null;
}

function post(what, authorization) {
  return fetch(`/api/noc/${what}`, {method: "POST", headers: {Authorization: authorization}, cache: "no-store", keepalive: true});
}

function signIn(token) {
  forget();
  sessionStorage.setItem(TOKEN_KEY, token);
  $("token").value = "";
  const secure = location.protocol === "https:";
  feed = new Feed({
    url: `${secure ? "wss" : "ws"}://${location.host}`,
    allowPlaintext: !secure, // whoever opened this page without TLS has decided that
    token: () => token,
    receiptsIntervalS: RECEIPTS_INTERVAL_S,
    onEvent: happened,
  });
  showBoard(true);
  feed.start();
}

// Whoever signs in next may be somebody else, of another tenant: nothing that was shown before stays.
function forget() {
  feed?.stop();
  feed = null;
  list.clear();
  $("fact-tenant").textContent = "–";
  Object.assign(status, {state: "signed-out", since: 0, retryAt: 0, detail: ""});
  showFeedStatus({state: "live"});
}

// The session ends at the server too: whoever finds the token later can do nothing with it.
async function endSession() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  signOut("");
  if (token === null) return;
  const ended = await post("sign-out", `Bearer ${token}`).then((answer) => answer.ok || answer.status === 401, () => false);
  if (!ended && feed === null) signOut("You are signed out here, but the server could not be told: your token stays good until it expires.");
}

function signOut(reason) {
  sessionStorage.removeItem(TOKEN_KEY);
  forget();
  showBoard(false);
  $("sign-in-reason").textContent = reason;
  $("sign-in-reason").hidden = reason === "";
  changed("signed-out");
  $("token").value = "";
  $("token").focus();
}

function showBoard(signedIn) {
  $("sign-in").hidden = signedIn;
  for (const id of ["board", "facts", "sign-out"]) $(id).hidden = !signedIn;
}

function happened(event) {
  switch (event.kind) {
    case "connecting":
      return changed("connecting");
    case "connected":
      $("fact-tenant").textContent = event.message.tenant_id;
      showFeedStatus({state: "live"}); // until the gateway says otherwise
      return changed("live");
    case "resumed":
      return; // what was missed follows: there is nothing to tell
    case "gap":
      return list.note(gapText(event));
    case "message":
      return received(event.message);
    case "disconnected":
      changed("waiting", event.reason, Date.now() + 1000 * event.retryInS);
      return showFeedStatus({state: "live"}); // nothing is known of it now, and the other banner tells why
    case "ended":
      return event.needsToken ? signOut(`Not signed in: ${event.reason}. Paste a new token.`) : changed("refused", event.reason);
  }
}

function received(message) {
  switch (message.type) {
    case "feed_status":
      return showFeedStatus(message);
    case "message_seen":
      return void list.mark(message.id, "seen", seenByText(message));
    case "critical_unseen":
      if (!list.mark(message.id, "unseen", unseenText(message))) list.note(unseenNote(message));
      return list.say(unseenNote(message));
    default:
      return list.add(message);
  }
}

// A screen reader hears of each change of state once, not of every second.
function showFeedStatus(message) {
  $("behind").textContent = feedStatusText(message);
  $("behind").hidden = message.state === "live";
  if (message.state === status.feed) return;
  status.feed = message.state;
  if (status.state === "live") list.say(message.state === "live" ? "The feed is up to date again" : feedStatusText(message));
}

function changed(state, detail = "", retryAt = 0) {
  // Attempts to come back are one outage: its beginning is what an operator wants to know.
  if ((state === "live") !== (status.state === "live") || status.since === 0) status.since = Date.now();
  Object.assign(status, {state, detail, retryAt});
  draw();
}

function silentForMs() {
  return feed?.heardAt == null ? null : performance.now() - feed.heardAt;
}

function stateText() {
  if (status.state === "live") return silentForMs() > STALE_AFTER_MS ? "Connected, but silent" : "Live";
  return STATE_TEXTS[status.state];
}

function bannerText() {
  if (status.state === "waiting") {
    return `Not live: ${status.detail}. Next attempt in ${duration(status.retryAt - Date.now())}. What happens meanwhile is listed then.`;
  }
  return status.state === "refused" ? `Not live, and not tried again: ${status.detail}.` : "";
}

function draw() {
  const box = $("state");
  box.dataset.state = status.state;
  const text = stateText();
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  $("banner").textContent = bannerText();
  $("banner").hidden = bannerText() === "";
  document.body.dataset.state = status.state;
  document.title = status.state === "live" ? "Watchfloor" : `(${status.state}) Watchfloor`;
  $("retry").hidden = status.state !== "waiting" && status.state !== "refused";
  $("fact-since").textContent = status.since ? new Date(status.since).toLocaleTimeString(undefined, {hour12: false}) : "–";
  $("fact-heard").textContent = silentForMs() === null ? "–" : `${duration(silentForMs())} ago`;
  $("fact-seq").textContent = (feed?.position?.seq ?? 0).toLocaleString();
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  if (token) signIn(token);
});
$("sign-out").addEventListener("click", endSession);
$("retry").addEventListener("click", () => {
  if (status.state === "refused") feed?.start();
  else feed?.retryNow();
});
addEventListener("online", () => feed?.retryNow());
addEventListener("hashchange", () => {
  const code = codeFromAddress();
  if (code) followLink(code);
});
setInterval(draw, TICK_MS);

const code = codeFromAddress();
const token = sessionStorage.getItem(TOKEN_KEY);
if (token) signIn(token);
else signOut("");
if (code) followLink(code);
