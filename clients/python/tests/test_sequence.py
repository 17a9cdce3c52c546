"""Which messages a reader shows, and which it knows it missed.

The scenarios are shared with the TypeScript client, which runs them too (clients/typescript/test).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchfloor_client.events import Connected, Event, Gap, Message, Resumed
from watchfloor_client.sequence import Position, SequenceTracker

SCENARIOS = json.loads((Path(__file__).parents[3] / "tests" / "support" / "sequence.json").read_text("utf-8"))


def told(event: Event, body: dict[str, Any]) -> object:
    match event:
        case Connected(tenant_id, epoch, seq):
            assert (tenant_id, epoch, seq) == (body["tenant_id"], body["epoch"], body["seq"])
            return "connected"
        case Message(_, got):
            assert got == body
            return "message"
        case Gap(first, last, reason):
            return {"gap": [first, last, reason]}
        case Resumed(first, last):
            return {"resumed": [first, last]}
    raise AssertionError(event)


def as_json(position: Position | None) -> object:
    return position and {"epoch": position.epoch, "seq": position.seq, "parts": position.parts}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario: dict[str, Any]) -> None:
    tracker = SequenceTracker(Position(**scenario["start"]) if scenario["start"] else None)
    for number, step in enumerate(scenario["steps"]):
        if "open" in step:
            assert as_json(tracker.opened()) == step["open"], number
        else:
            assert [told(event, step["hear"]) for event in tracker.receive(step["hear"])] == step["told"], number
    assert as_json(tracker.position) == scenario["position"]


@given(arrivals=st.lists(st.integers(1, 30), max_size=80))
def test_whatever_arrives_each_number_is_shown_once_or_lies_in_a_gap(arrivals: list[int]) -> None:
    tracker = SequenceTracker()
    tracker.receive({"type": "connection_established", "tenant_id": 1, "epoch": "e1", "seq": 0})
    shown: list[int] = []
    missed: set[int] = set()
    for seq in arrivals:
        for event in tracker.receive({"type": "anomaly_detected", "seq": seq, "prev_seq": seq - 1}):
            if isinstance(event, Gap):
                assert event.first is not None
                assert event.last is not None
                missed |= set(range(event.first, event.last + 1))
            else:
                shown.append(seq)
    assert shown == sorted(set(shown))
    assert set(range(1, max(shown, default=0) + 1)) == set(shown) | missed
    assert not set(shown) & missed
