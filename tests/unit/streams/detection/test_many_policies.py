"""Policies of a tenant with many entities and many policy rows: bounded work for each row, and the same timers in the end.

Also of streams/state/policy_rows.py and streams/state/rearm.py.
"""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import NOW, NOW_US, TOPICS, Worker, change

from contracts.envelope import Change
from detectors.registry import named
from streams.state.entities import PolicyState
from streams.state.policy_rows import PolicyRows

MINUTE_MS = 60_000
NOW_MS = NOW_US // 1000


def device(number: int, tenant: int = 1, at_s: float = 0) -> Change:
    row = {"id": number, "tenant_id": tenant, "site_id": None, "status": "ONLINE", "last_seen": NOW}
    return change("device", row, lsn=1_000 + number, at_us=NOW_US + round(at_s * 1e6))


def policy(number: int, settings: dict[str, Any], *, lsn: int, at_s: float = 0, **more: Any) -> Change:
    row = {"id": number, "tenant_id": 1, "detector": "device_offline", "settings": json.dumps(settings)} | more
    return change("policy", row, lsn=lsn, at_us=NOW_US + round(at_s * 1e6))


def worker(**more: Any) -> Worker:
    return Worker(detectors=named(["device_offline", "ticket_sla_breach"]), limit=1_000_000, **more)


def timers(sut: Worker, tenant: int = 1) -> dict[int, int]:
    """Each device's timer, in minutes after NOW."""
    held = sut.memory.tables.detector_states["memory_device_row"].data
    return {key[1]: (states.due_ms - NOW_MS) // MINUTE_MS for key, states in held.items() if key[0] == tenant}


def test_the_timers_of_many_entities_are_moved_in_small_steps() -> None:
    sut = worker()
    sut.run([device(number) for number in range(1, 2_001)])
    sut.run([device(number, tenant=2) for number in range(1, 2_001)])
    sut.run([policy(1, {"silent_minutes_max": 5}, lsn=9_000)])
    assert set(timers(sut).values()) == {15}, "none is moved with the row"
    moved = []
    while sut.wake_at_ms is not None and sut.wake_at_ms < NOW_MS + MINUTE_MS:
        sut.run([], tick_ms=sut.wake_at_ms)
        moved.append(sum(due == 5 for due in timers(sut).values()))
    assert moved[-1] == 2_000
    steps = [after - before for before, after in zip([0, *moved], moved, strict=False)]
    assert max(steps) <= 500
    assert set(timers(sut, tenant=2).values()) == {15}
    assert sut.memory.tables.rearms.data == {}


def test_a_policy_that_changes_while_they_are_moved_holds_in_the_end() -> None:
    sut = worker()
    sut.run([device(number) for number in range(1, 1_201)])
    sut.run([policy(1, {"silent_minutes_max": 5}, lsn=9_000)])
    sut.run([], tick_ms=sut.wake_at_ms)
    assert 0 < sum(due == 5 for due in timers(sut).values()) < 1_200
    sut.run([policy(1, {"silent_minutes_max": 4}, lsn=9_001, at_s=0.11)])
    sut.run([policy(1, {"silent_minutes_max": 3}, lsn=9_002, at_s=0.12)])
    sut.run([], tick_ms=NOW_MS + MINUTE_MS)
    assert set(timers(sut).values()) == {3}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30), st.floats(0, 0.3)), min_size=1, max_size=12))
def test_the_end_is_that_of_the_last_policy_also_after_a_recovery(rows: list[tuple[int, int, float]]) -> None:
    one, other = worker(), worker()
    for sut in (one, other):
        sut.run([device(number) for number in range(1, 1_301)])
    at_s = 0.0
    for lsn, (count, minutes, pause_s) in enumerate(rows):
        at_s += pause_s
        for number in range(count):
            rows_now = [policy(number + 1, {"silent_minutes_max": minutes}, lsn=9_000 + 10 * lsn + number, at_s=at_s)]
            for sut in (one, other):
                sut.run(rows_now)
        recovered = worker()
        for table in other.memory.state.tables.values():
            for each in table.data:
                table.changed(each)
        for key, value in other.memory.state.take_changes(1):
            recovered.memory.state.load(key, value)
        other = recovered
    for sut in (one, other):
        sut.run([], tick_ms=NOW_MS + MINUTE_MS // 2 + round(at_s * 1000))
    assert timers(one) == timers(other)


def row_cost_s(sut: Worker, count: int, first: int) -> float:
    """CPU time for a policy row of this many."""
    rows = [
        policy(first + n, {"silent_minutes_max": 5 + n % 7}, lsn=10_000 + first + n, site_id=n) for n in range(count)
    ]
    started = time.process_time()
    sut.run(rows)
    return (time.process_time() - started) / count


def test_a_policy_row_costs_the_same_whatever_there_is() -> None:
    small, large = worker(), worker()
    large.run([device(number, tenant=2) for number in range(1, 20_001)])
    large.run([device(number) for number in range(1, 5_001)])
    row_cost_s(large, 4_000, first=1)
    few = min(row_cost_s(small, 100, first=10_000 + 100 * again) for again in range(3))
    many = min(row_cost_s(large, 100, first=5_000 + 100 * again) for again in range(3))
    assert many < 3 * few


def test_a_tenant_has_a_bound_of_policies_and_changes_to_them_are_still_taken() -> None:
    sut = worker(worker={"state.policies_per_tenant_max": 3})
    sut.run([policy(number, {"silent_minutes_max": 5}, lsn=number, site_id=number) for number in (1, 2, 3, 4)])
    (letter,) = sut.outputs[TOPICS.dead_letters]
    assert b"policies_per_tenant_max" in dict(letter.headers)["reason"]
    sut.run([policy(3, {"silent_minutes_max": 6}, lsn=10, site_id=3)])
    sut.run([change("policy", None, {"id": 1, "tenant_id": 1}, lsn=11), policy(4, {}, lsn=12)])
    assert len(sut.outputs[TOPICS.dead_letters]) == 1
    assert set(sut.memory.tables.policies.data) == {(1, 2), (1, 3), (1, 4)}


def test_a_stored_policy_that_is_out_of_bounds_by_now_has_no_effect() -> None:
    sut = worker()
    stored = {1: '{"silent_minutes_max":1e30}', 2: '{"silent_minutes_max":5}', 3: '{"gone":1}'}
    for number, text in stored.items():
        state = PolicyState(None, None, "device_offline", text)
        sut.memory.tables.policies.put((1, number), state)
        sut.memory.tables.policy_rows.setdefault(1, PolicyRows()).put(number, state)
    sut.run([device(1)])
    assert timers(sut) == {1: 5}


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.sampled_from((None, 1, 2)),
            st.sampled_from((None, 7, 8)),
            st.sampled_from("ab"),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.sampled_from((None, 1, 2, 3)),
    st.sampled_from((None, 7, 8, 9)),
)
def test_rows_by_place_are_those_that_apply(
    changes: list[tuple[int, int | None, int | None, str, bool]], client: int | None, site: int | None
) -> None:
    sut, plain = PolicyRows(), dict[int, PolicyState]()
    for number, (row_id, its_client, its_site, detector, gone) in enumerate(changes):
        if gone:
            sut.remove(row_id)
            plain.pop(row_id, None)
        else:
            made = PolicyState(its_client, its_site, detector, json.dumps({"n": number}))
            sut.put(row_id, made)
            plain[row_id] = made
    expected: dict[str, list[Any]] = {}
    by_level = sorted(
        plain.items(), key=lambda each: (2 if each[1].site_id else 1 if each[1].client_id else 0, each[0])
    )
    for _, row in by_level:
        if row.client_id in {None, client} and row.site_id in {None, site}:
            expected.setdefault(row.detector, []).append(json.loads(row.settings))
    assert sut.at(client, site) == expected
    assert len(sut) == len(plain)


@pytest.mark.parametrize("text", ["x" * 20_000, '{"silent_minutes_max":' + "[" * 5_000, "[]", "null"])
def test_settings_that_are_no_settings_are_a_dead_letter(text: str) -> None:
    sut = worker()
    row = {"id": 1, "tenant_id": 1, "detector": "device_offline", "settings": text}
    sut.run([change("policy", row, lsn=1)])
    assert len(sut.outputs[TOPICS.dead_letters]) == 1
