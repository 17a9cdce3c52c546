import assert from "node:assert/strict";
import {test} from "node:test";

import {Feed, type FeedEvent, type FeedOptions} from "../src/index.ts";
import {World, settled} from "./world.ts";

interface Running {
  world: World;
  feed: Feed;
  events: FeedEvent[];
}

async function running(options: Partial<FeedOptions> = {}): Promise<Running> {
  const world = new World();
  const events: FeedEvent[] = [];
  const feed = new Feed({
    url: "ws://localhost:8080", token: () => "t", environment: world, onEvent: (event) => events.push(event), ...options,
  });
  feed.start();
  await settled();
  return {world, feed, events};
}

const kinds = (events: FeedEvent[]): string[] => events.map((event) => event.kind);
const waits = (events: FeedEvent[]): number[] => events.flatMap((event) => (event.kind === "disconnected" ? [event.retryInS] : []));
const seqs = (events: FeedEvent[]): unknown[] =>
  events.flatMap((event) => (event.kind === "message" && "seq" in event.message ? [event.message.seq] : []));

test("the token goes into the first message and not into the address", async () => {
  const {world} = await running({token: () => "secret", clientIds: [3], siteIds: [4, 5]});
  world.socket.welcome();
  assert.equal(world.socket.address, "ws://localhost:8080/ws/noc/dashboard/");
  assert.deepEqual(world.socket.sent, [{type: "authenticate", token: "secret", client_ids: [3], site_ids: [4, 5]}]);
});

test("a lost connection is resumed where the reader was", async () => {
  const {world, events} = await running();
  world.socket.welcome().anomaly(1, 0).anomaly(2, 1, 0, 2).end(1012);
  await world.pass(1);
  world.socket.welcome(3);
  assert.deepEqual(world.socket.sent[0]?.["resume"], {epoch: "e1", seq: 1});
  world.socket.resumed(2, 3).anomaly(2, 1, 0, 2).anomaly(2, 1, 1, 2).anomaly(3, 2);
  assert.deepEqual(kinds(events), ["connecting", "connected", "message", "message", "disconnected", "connecting", "connected",
    "resumed", "message", "message"]);
  assert.deepEqual(seqs(events), [1, 2, 2, 3]);
});

test("what cannot be given again is a gap with its reason", async () => {
  const {world, events} = await running();
  world.socket.welcome(4).end(1006);
  await world.pass(1);
  world.socket.welcome(9).resumed(5, 9, "too_old").anomaly(10, 9);
  assert.deepEqual(events.filter((event) => event.kind === "gap"), [{kind: "gap", first: 5, last: 9, reason: "too_old"}]);
  assert.deepEqual(seqs(events), [10]);
});

test("a program goes on from the position that it stored", async () => {
  const first = await running();
  assert.equal(first.feed.position, null);
  first.world.socket.welcome(4).anomaly(5, 4, 0, 2);
  assert.deepEqual(first.feed.position, {epoch: "e1", seq: 4, parts: 1});
  const second = await running({since: first.feed.position});
  second.world.socket.welcome(5).resumed(5, 5).anomaly(5, 4, 0, 2).anomaly(5, 4, 1, 2);
  assert.deepEqual(second.world.socket.sent[0]?.["resume"], {epoch: "e1", seq: 4});
  assert.deepEqual(seqs(second.events), [5]);
});

test("the position is behind what was told and not further", async () => {
  const seen: unknown[] = [];
  const world = new World();
  const feed: Feed = new Feed({
    url: "ws://localhost:1", token: () => "t", environment: world,
    onEvent: (event) => seen.push([event.kind, feed.position?.seq ?? null]),
  });
  feed.start();
  await settled();
  world.socket.welcome().anomaly(1, 0).anomaly(5, 4).say({type: "heartbeat", seq: 9});
  assert.deepEqual(seen, [["connecting", null], ["connected", 0], ["message", 1], ["gap", 1], ["message", 5]]);
  assert.equal(feed.position?.seq, 9);
});

test("a server that takes connections and drops them is not hammered", async () => {
  const {world, events} = await running();
  for (let round = 0; round < 9; round += 1) {
    world.socket.welcome().end(1001);
    await world.nextSocket();
  }
  assert.deepEqual(waits(events), [0.5, 1, 2, 4, 8, 16, 30, 30, 30]);
});

test("a connection that lived resets the delay", async () => {
  const {world, events} = await running();
  for (let round = 0; round < 3; round += 1) {
    world.socket.welcome();
    await world.pass(10);
    world.socket.end(1001);
    await world.pass(1);
  }
  assert.deepEqual(waits(events), [0.5, 0.5, 0.5]);
});

test("a slow reader waits as long as the gateway says", async () => {
  const {world, events} = await running();
  world.socket.open().end(4409, "retry_after_s=40; messages waited too long");
  assert.deepEqual(events.at(-1), {kind: "disconnected", code: 4409, reason: "messages waited too long", retryInS: 40});
  await world.pass(39.9);
  assert.equal(world.sockets.length, 1);
  await world.pass(0.2);
  assert.equal(world.sockets.length, 2);
});

test("a refused token ends the feed unless there is a new one", async () => {
  const {world, events} = await running();
  world.socket.open().end(4401, "the token has expired");
  await world.pass(5);
  assert.deepEqual(events.at(-1), {kind: "ended", code: 4401, reason: "the token has expired", needsToken: true});
  assert.equal(world.sockets.length, 1);

  let number = 0;
  const renewing = await running({token: async () => `t${(number += 1)}`});
  renewing.world.socket.open().end(4401);
  await renewing.world.pass(1);
  renewing.world.socket.welcome();
  assert.equal(renewing.world.socket.sent[0]?.["token"], "t2");
  assert.equal(renewing.events.at(-1)?.kind, "connected");
});

test("tokens that are new each time and always refused are not made for ever", async () => {
  let number = 0;
  const {world, events} = await running({token: () => `t${(number += 1)}`});
  for (let round = 0; round < 5; round += 1) {
    if (events.at(-1)?.kind === "ended") break;
    world.socket.open().end(4401);
    await world.nextSocket();
  }
  assert.equal(world.sockets.length, 2);
  assert.equal(events.at(-1)?.kind, "ended");
  assert.equal(world.timers, 0);
});

test("codes that say no end the feed", async () => {
  for (const code of [4403, 4413]) {
    const {world, events} = await running();
    world.socket.open().end(code);
    await world.pass(600);
    assert.equal(events.at(-1)?.kind, "ended");
    assert.equal(world.sockets.length, 1);
    assert.equal(world.timers, 0);
  }
});

test("a token source that fails is asked again", async () => {
  let asked = 0;
  const {world, events} = await running({
    token: () => {
      asked += 1;
      if (asked === 1) throw new Error("no network");
      return "t";
    },
  });
  assert.deepEqual(kinds(events), ["connecting", "disconnected"]);
  await world.pass(2);
  assert.equal(world.sockets.length, 1);
});

test("a silent connection is given up", async () => {
  const {world, events} = await running();
  world.socket.open();
  await world.pass(10.1);
  assert.equal(events.at(-1)?.kind, "disconnected");
  assert.equal(world.sockets[0]?.left, true);
  await world.pass(2);
  world.socket.welcome();
  await world.pass(49);
  world.socket.say({type: "heartbeat", seq: 0});
  await world.pass(49);
  assert.equal(events.at(-1)?.kind, "connected");
  await world.pass(1.2);
  assert.equal(events.at(-1)?.kind, "disconnected");
});

test("the gateway is told what was received and seen, at most every interval", async () => {
  const {world, feed} = await running();
  world.socket.welcome(3).anomaly(4, 3).anomaly(5, 4, 0, 2);
  feed.seen(["a", "b"]);
  feed.seen(["a"]);
  await world.pass(4.9);
  assert.deepEqual(world.socket.sent.length, 1);
  await world.pass(0.2);
  assert.deepEqual(world.socket.sent.slice(1), [{type: "received", seq: 4}, {type: "seen", ids: ["a", "b"]}]);
  for (let seq = 6; seq < 600; seq += 1) world.socket.anomaly(seq, seq - 1);
  await world.pass(40);
  assert.deepEqual(world.socket.said("received").map((message) => message["seq"]), [4, 599]);
});

test("a new token is given before the old one ends, and again when that one ends", async () => {
  let number = 0;
  const {world} = await running({token: () => `t${(number += 1)}`});
  world.socket.welcome();
  const beat = async (seconds: number): Promise<void> => {
    for (let passed = 0; passed < seconds; passed += 20) {
      await world.pass(20);
      world.socket.say({type: "heartbeat", seq: 0});
    }
  };
  await beat(3520);
  assert.deepEqual(world.socket.said("refresh"), []);
  await beat(40);
  assert.deepEqual(world.socket.said("refresh"), [{type: "refresh", token: "t2", request_id: "refresh"}]);
  world.socket.say({type: "refreshed", timestamp: "2026-03-02T09:59:00Z", expires_at: "2026-03-02T10:59:00Z", capabilities: []});
  await beat(3520);
  assert.equal(world.socket.said("refresh").length, 1);
  await beat(40);
  assert.equal(world.socket.said("refresh").length, 2);
});

test("a token source without a new token is asked again, and the old one is not sent", async () => {
  let asked = 0;
  const {world} = await running({
    token: () => {
      asked += 1;
      if (asked === 2) throw new Error("no network");
      return asked < 4 ? "old" : "new";
    },
  });
  world.socket.welcome(0, {expires_at: "2026-03-02T09:01:20.000Z", heartbeat_interval_s: 1000});
  await world.pass(65); // at 40 s, at 60 s: half of what is left each time
  assert.equal(asked, 3);
  assert.deepEqual(world.socket.said("refresh"), []);
  await world.pass(10);
  assert.deepEqual(world.socket.said("refresh").map((message) => message["token"]), ["new"]);
});

test("a token of a year waits for its year", async () => {
  const {world} = await running({token: (() => { let n = 0; return () => `t${(n += 1)}`; })(), receiptsIntervalS: 10 ** 6});
  world.socket.welcome(0, {expires_at: "2027-03-02T09:00:00.000Z", heartbeat_interval_s: 10 ** 9});
  await world.pass(40 * 86_400);
  assert.deepEqual(world.socket.said("refresh"), []);
});

test("stop ends everything, and start goes on from the position", async () => {
  const {world, feed, events} = await running();
  world.socket.welcome().anomaly(1, 0);
  feed.stop();
  assert.equal(world.socket.left, true);
  assert.equal(world.timers, 0);
  const before = events.length;
  world.socket.anomaly(2, 1);
  assert.equal(events.length, before);
  feed.start();
  await settled();
  world.socket.open();
  assert.deepEqual(world.socket.sent[0]?.["resume"], {epoch: "e1", seq: 1});
});

test("a feed that is stopped while it waits for its token does not connect", async () => {
  let answer = (_: string): void => {};
  const {world, feed} = await running({token: () => new Promise<string>((resolve) => (answer = resolve))});
  feed.stop();
  answer("t");
  await world.pass(100);
  assert.equal(world.sockets.length, 0);
});

test("a reader may try again at once, and not twice", async () => {
  const {world, feed} = await running();
  world.socket.open().end(4429);
  feed.retryNow();
  feed.retryNow();
  await settled();
  assert.equal(world.sockets.length, 2);
  await world.pass(5);
  assert.equal(world.sockets.length, 2);
});

test("what is no message is passed over", async () => {
  const {world, events} = await running();
  world.socket.welcome();
  for (const data of ["no JSON", "[1]", "null", "7", new ArrayBuffer(3)]) world.socket.raw(data);
  world.socket.say({type: "stats", uptime_seconds: 3});
  assert.deepEqual(kinds(events), ["connecting", "connected", "message"]);
});

test("addresses", () => {
  const at = (url: string, more: Partial<FeedOptions> = {}): Feed =>
    new Feed({url, token: () => "t", onEvent: () => {}, environment: new World(), ...more});
  for (const url of ["http://localhost:1", "nothing", "ws://localhost/?token=x", "wss://user:x@localhost", "ws://noc.example.com"]) {
    assert.throws(() => at(url), TypeError, url);
  }
  for (const url of ["ws://127.0.0.1:1", "ws://[::1]:1", "wss://noc.example.com/site/"]) at(url);
  at("ws://noc.example.com", {allowPlaintext: true});
});

test("a proxy may serve the gateway below a path", async () => {
  const {world} = await running({url: "wss://noc.example.com/site/", stream: "anomaly"});
  assert.equal(world.socket.address, "wss://noc.example.com/site/ws/noc/anomaly-stream/");
});
