import assert from "node:assert/strict";
import {test} from "node:test";

import {ADVICE, Backoff, adviceFor, retryAfter} from "../src/index.ts";

function backoff(chance = 1, delayS = 0.5): Backoff {
  return new Backoff({delayS, delayMaxS: 60, stableAfterS: 10, chance: () => chance});
}

function advice(delay_s_min: number): (typeof ADVICE)[number] & {} {
  return {reconnect: "yes", delay_s_min, meaning: ""};
}

test("delays grow up to their limit", () => {
  const waiting = backoff(1, 0.25);
  const delays = Array.from({length: 14}, () => waiting.nextDelayS(advice(0), 0));
  assert.deepEqual(delays.slice(0, 4), [0.25, 0.5, 1, 2]);
  assert.equal(delays.at(-1), 60);
});

test("a share of the delay is left to chance", () => {
  assert.deepEqual([0, 0.5, 1].map((chance) => backoff(chance).nextDelayS(advice(8), 0)), [4, 6, 8]);
});

test("a connection that lived starts the growth anew", () => {
  const waiting = backoff();
  assert.deepEqual([0, 9.9, 0, 10, 0].map((lived) => waiting.nextDelayS(advice(1), lived)), [1, 2, 4, 1, 2]);
});

test("what the server asks for is waited at least", () => {
  assert.deepEqual([0, 1].map((chance) => backoff(chance).nextDelayS(advice(5), 0, 30)), [30, 45]);
  const waiting = backoff();
  assert.deepEqual([1, 2, 3, 4].map(() => waiting.nextDelayS(advice(5), 0, 6)), [9, 10, 20, 40]);
});

test("the prefix of a reason", () => {
  const cases: [string, number, string][] = [
    ["retry_after_s=20; the queue is full", 20, "the queue is full"],
    ["retry_after_s=20", 20, ""],
    ["retry_after_s=999999999; x", 3600, "x"],
    ["retry_after_s=-5; x", 0, "retry_after_s=-5; x"],
    ["retry_after_s=1e9; x", 0, "retry_after_s=1e9; x"],
    ["x retry_after_s=20", 0, "x retry_after_s=20"],
    ["", 0, ""],
  ];
  for (const [reason, seconds, rest] of cases) assert.deepEqual(retryAfter(reason), {seconds, rest});
});

test("every close code has its advice and others are broken connections", () => {
  for (const [code, expected] of Object.entries(ADVICE)) assert.equal(adviceFor(Number(code)), expected);
  for (const code of [null, 1000, 1006, 4999]) assert.equal(adviceFor(code).reconnect, "yes");
});
