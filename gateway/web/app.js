// The page: takes the token, opens the connection, shows its state and hands messages to the feed.

import {Connection} from "/connection.js";
import {Feed} from "/feed.js";
import {Sequence} from "/sequence.js";

const TOKEN_KEY = "watchfloor.token";
const TICK_MS = 1000;
const STALE_AFTER_MS = 40_000;

const $ = (id) => document.getElementById(id);
const feed = new Feed({
  list: $("feed"),
  empty: $("empty"),
  window: $("window"),
  announcer: $("announcer"),
  chips: document.querySelectorAll(".chip"),
});
const sequence = new Sequence();
const status = {state: "signed-out", since: 0, heardAt: 0, retryAt: 0, detail: ""};
let connection = null;

// The fragment is never sent to a server; it leaves the address bar before anything else happens.
function tokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(null, "", location.pathname);
  return token;
}

function signIn(token) {
  forget();
  sessionStorage.setItem(TOKEN_KEY, token);
  $("token").value = "";
  connection = new Connection(token, {state: changed, established, message: received, heard: () => { status.heardAt = Date.now(); }});
  showBoard(true);
  connection.start();
}

// Whoever signs in next may be somebody else, of another tenant: nothing that was shown before stays.
function forget() {
  connection?.stop();
  connection = null;
  sequence.begin(null, 0);
  feed.clear();
  $("fact-tenant").textContent = "–";
  Object.assign(status, {state: "signed-out", since: 0, heardAt: 0, retryAt: 0, detail: ""});
}

function signOut(reason) {
  sessionStorage.removeItem(TOKEN_KEY);
  forget();
  showBoard(false);
  $("sign-in-reason").textContent = reason;
  $("sign-in-reason").hidden = reason === "";
  changed("signed-out", {});
  $("token").value = "";
  $("token").focus();
}

function showBoard(signedIn) {
  $("sign-in").hidden = signedIn;
  for (const id of ["board", "facts", "sign-out"]) $(id).hidden = !signedIn;
}

function changed(state, detail) {
  if (state === "rejected") {
    signOut(`Not signed in: ${detail.reason}. Paste a new token.`);
    return;
  }
  // Attempts to come back are one outage: its beginning is what an operator wants to know.
  if ((state === "live") !== (status.state === "live") || status.since === 0) status.since = Date.now();
  status.state = state;
  status.retryAt = detail.retryAt ?? 0;
  status.detail = detail.reason ?? "";
  draw();
}

function established(message) {
  $("fact-tenant").textContent = message.tenant_id;
  const missed = sequence.begin(message.epoch, message.seq);
  if (missed > 0) feed.note(`${missed} message${missed === 1 ? "" : "s"} passed while this page was not connected`);
  draw();
}

function received(message) {
  if (typeof message.seq !== "number" || message.prev_seq === undefined) return;
  const {fresh, missing} = sequence.take(message);
  if (missing !== null) feed.note(`Messages ${missing.from} to ${missing.to} did not arrive`);
  if (fresh) feed.add(message);
}

function stateText() {
  switch (status.state) {
    case "live":
      return Date.now() - status.heardAt > STALE_AFTER_MS ? "Connected, but silent" : "Live";
    case "connecting":
      return "Connecting…";
    case "waiting":
      return "Disconnected";
    case "refused":
      return "Refused";
    default:
      return "Signed out";
  }
}

function bannerText() {
  if (status.state === "waiting") {
    return `Not live: ${status.detail}. Next attempt in ${seconds(status.retryAt - Date.now())}. What happens meanwhile is not listed below.`;
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
  $("fact-heard").textContent = status.heardAt ? `${seconds(Date.now() - status.heardAt)} ago` : "–";
  $("fact-seq").textContent = sequence.seq.toLocaleString();
}

function seconds(ms) {
  const whole = Math.max(0, Math.round(ms / 1000));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  if (token) signIn(token);
});
$("sign-out").addEventListener("click", () => signOut(""));
$("retry").addEventListener("click", () => {
  if (status.state === "refused") connection?.start();
  else connection?.retryNow();
});
addEventListener("online", () => connection?.retryNow());
addEventListener("hashchange", () => {
  const token = tokenFromAddress();
  if (token) signIn(token);
});
setInterval(draw, TICK_MS);

const token = tokenFromAddress() ?? sessionStorage.getItem(TOKEN_KEY);
if (token) signIn(token);
else signOut("");
