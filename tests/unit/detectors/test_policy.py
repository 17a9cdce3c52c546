"""Every policy field of every detector is bounded, and its bounds can be used with any rows."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from support.absurd_rows import changes, watched
from support.changes import NOW, NOW_US, TOPICS, Worker, change
from support.policy_bounds import Bounds, all_bounds, extreme_policies

from contracts.envelope import Change
from detectors.policy import PolicyError, overridden
from detectors.registry import DETECTORS, named

_FAR_MS = NOW_US // 1000 + 40 * 366 * 86_400_000


@pytest.mark.parametrize("bounds", all_bounds(), ids=lambda each: f"{each.detector}.{each.field}")
def test_a_value_beyond_its_bounds_is_refused_with_one_reason(bounds: Bounds) -> None:
    (detector,) = named([bounds.detector])
    for value in bounds.beyond:
        with pytest.raises(PolicyError, match=rf"^[^\n]*`\$\.{bounds.field}`$|out of range") as refused:
            overridden(detector.policy, [{bounds.field: value}])
        assert len(str(refused.value)) < 200
    for value in bounds.extremes:
        assert getattr(overridden(detector.policy, [{bounds.field: value}]), bounds.field) == value


@pytest.mark.parametrize("value", [1e30, 1e300, 10**40, -1, math.inf, math.nan, "15", None, [], {}])
def test_a_policy_row_beyond_the_bounds_is_one_dead_letter_and_nobody_else_notices(value: Any) -> None:
    sut = Worker(detectors=named(["device_offline"]))
    row = {"id": 1, "tenant_id": 1, "detector": "device_offline"}
    settings_text = json.dumps({"silent_minutes_max": value})
    policy = change("policy", row | {"settings": settings_text}, lsn=10)
    sut.run([policy])
    for tenant in (1, 2):
        device = {"id": tenant, "tenant_id": tenant, "status": "ONLINE", "last_seen": NOW}
        sut.run([change("device", device, lsn=20 + tenant)])
    (letter,) = sut.outputs[TOPICS.dead_letters]
    assert dict(letter.headers)["detector"] == b"policy"
    assert [type(record).__name__ for record in sut.run([], tick_ms=_FAR_MS)] == ["AnomalyDetected"] * 2
    for _ in sut.memory.state.take_changes(1):
        pass


@settings(max_examples=100, deadline=None, phases=(Phase.generate,))
@given(extreme_policies(), changes())
def test_the_bounds_can_be_used_with_any_rows(policies: dict[str, dict[str, Any]], rows: list[Change]) -> None:
    defects: list[str] = []
    sut = Worker(
        detectors=watched(DETECTORS, defects),  # type: ignore[arg-type]  # they are detectors
        limit=1_000_000,
        failures_min=1_000_000,
        policies=policies,
    )
    sut.run(rows)
    for far_ms in (NOW_US // 1000 + 40 * 86_400_000, _FAR_MS):
        sut.run([], tick_ms=far_ms)
    assert defects == []
    for table in sut.memory.state.tables.values():
        for key, value in table.data.items():
            msgspec.msgpack.encode((key, value))  # nothing that the changelog cannot have
