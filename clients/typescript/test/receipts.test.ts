import assert from "node:assert/strict";
import {test} from "node:test";

import {Receipts} from "../src/receipts.ts";

const names = (from: number, to: number): string[] => Array.from({length: to - from}, (_, place) => `f${from + place}`);

test("received is told once for each change", () => {
  const receipts = new Receipts();
  assert.deepEqual(receipts.due(), []);
  for (const seq of [3, 4, 7]) receipts.received(seq);
  assert.deepEqual(receipts.due(), [{type: "received", seq: 7}]);
  receipts.received(7);
  assert.deepEqual(receipts.due(), []);
  receipts.reconnected();
  assert.deepEqual(receipts.due(), [{type: "received", seq: 7}]);
});

test("seen is told in order, in messages that the contract takes", () => {
  const receipts = new Receipts();
  receipts.seen(names(0, 150));
  receipts.seen(["f0", "f149"]);
  assert.deepEqual(receipts.due(), [{type: "seen", ids: names(0, 100)}]);
  assert.deepEqual(receipts.due(), [{type: "seen", ids: names(100, 150)}]);
  assert.deepEqual(receipts.due(), []);
});

test("what waits to be told is bounded and the newest stay", () => {
  const receipts = new Receipts();
  receipts.seen(names(0, 5000));
  const told = Array.from({length: 20}, () => receipts.due()).flat().flatMap((message) => ("ids" in message ? message.ids : []));
  assert.deepEqual(told, names(4000, 5000));
});
