// The scenarios that the Python client runs too (tests/unit/cli/test_sequence.py).

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {SequenceTracker, type Position} from "../src/index.ts";

type Told = string | {gap: [number | null, number | null, string]} | {resumed: [number, number]};
type Step = {open: Position | null} | {hear: Record<string, unknown>; told: Told[]};
interface Scenario {
  name: string;
  start: Position | null;
  position: Position | null;
  steps: Step[];
}

const file = new URL("../../../tests/support/sequence.json", import.meta.url);
const scenarios = JSON.parse(readFileSync(file, "utf-8")) as Scenario[];

function told(event: ReturnType<SequenceTracker["hear"]>[number], body: object): Told {
  switch (event.kind) {
    case "connected":
    case "message":
      assert.deepEqual(event.message, body);
      return event.kind;
    case "gap":
      return {gap: [event.first, event.last, event.reason]};
    case "resumed":
      return {resumed: [event.first, event.last]};
  }
}

assert.ok(scenarios.length > 30);
for (const scenario of scenarios) {
  test(scenario.name, () => {
    const tracker = new SequenceTracker(scenario.start);
    for (const [place, step] of scenario.steps.entries()) {
      if ("open" in step) assert.deepEqual(tracker.opened(), step.open, `step ${place}`);
      else assert.deepEqual(tracker.hear(step.hear).map((event) => told(event, step.hear)), step.told, `step ${place}`);
    }
    assert.deepEqual(tracker.position, scenario.position);
  });
}
