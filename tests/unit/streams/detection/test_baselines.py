"""A baseline learned by the worker: by ticks, kept apart from what every row changes, and there after a restart."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from support.changes import Worker, change

from common.settings.worker import WorkerSettings
from contracts.envelope import Change
from detectors.registry import named
from streams.engine.state.partition_state import PartitionState
from streams.state.detector_state import OWN_PREFIX, PREFIX, SHARED_PREFIX
from streams.state.tables import table_specs

MONDAY_S = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
WEEK = 168
MEMORY = PREFIX + "location_attendance_device"


def fix(device: int, at_s: float, *, tenant: int = 1, known_s: float | None = None) -> Change:
    """A position of a phone."""
    row = {"id": 1, "tenant_id": tenant, "device_id": device, "site_id": 4, "recorded_at": _time(at_s)}
    return change("location", row, at_us=round((known_s or at_s) * 1e6), lsn=100 + int((known_s or at_s) - MONDAY_S))


def _time(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def hour_of(hour: int, devices: Iterable[int]) -> list[Change]:
    """Twelve fixes of each phone in a working hour."""
    if hour % WEEK >= 120 or not 8 <= hour % 24 < 16:
        return []
    start_s = MONDAY_S + hour * 3600
    return [fix(device, start_s + minute * 60 + device) for minute in range(0, 60, 5) for device in devices]


def worker(state: PartitionState | None = None) -> Worker:
    """One that counts the events of phones."""
    more = {} if state is None else {"state": state}
    return Worker(limit=1_000, detectors=named(["phone_events"]), **more)  # type: ignore[arg-type]


def live(sut: Worker, hours: Iterable[int], devices: Iterable[int] = (1, 2)) -> list[Any]:
    """Hour by hour, each ended by a tick."""
    reported = []
    for hour in hours:
        reported += sut.run(hour_of(hour, devices), tick_ms=(MONDAY_S + (hour + 1) * 3600) * 1000)
    return reported


def learned_worker() -> Worker:
    """After three weeks of two phones."""
    sut = worker()
    sut.run([change("site", {"id": 4, "tenant_id": 1, "name": "Gate", "timezone": "UTC"}, lsn=1)])
    assert live(sut, range(3 * WEEK)) == []
    return sut


def test_a_silent_phone_is_told_by_a_tick_with_its_last_row_as_source() -> None:
    sut = learned_worker()
    (record,) = live(sut, range(3 * WEEK, 3 * WEEK + 24), devices=(1,))
    (finding,) = record.findings
    assert (finding.finding_type, finding.category) == ("ANOMALY_PHONE_EVENTS_BELOW", "DEVICE_HEALTH")
    assert (finding.evidence["device_id"], finding.evidence["hour_of_week"], finding.evidence["observed"]) == (2, 8, 0)
    assert (record.event_type, record.site_id, record.site_name) == ("location", 4, "Gate")
    memory = sut.state[MEMORY].data[(1, 2)]  # hours that were waited for are caught up with
    assert memory.due_ms > (MONDAY_S + (3 * WEEK + 24) * 3600) * 1000
    assert memory.phone_events.start_s >= MONDAY_S + (3 * WEEK + 22) * 3600


def test_a_recovered_worker_has_learned_the_same() -> None:
    first = learned_worker()
    recovered = PartitionState(table_specs(WorkerSettings()))
    for key, value in first.state.take_changes(1):
        recovered.load(key, value)
    second = worker(recovered)
    hours = range(3 * WEEK, 3 * WEEK + 24)
    assert live(second, hours, devices=(1,)) == live(first, hours, devices=(1,))
    assert second.feed()


def test_an_event_writes_the_small_memory_and_an_hour_the_large_one() -> None:
    sut = learned_worker()
    list(sut.state.take_changes(1))
    at_s = MONDAY_S + (3 * WEEK + 9) * 3600
    live(sut, range(3 * WEEK, 3 * WEEK + 9))
    list(sut.state.take_changes(1))
    sut.run([fix(1, at_s + 5)])
    written = {key.split(b"\0")[0]: len(value or b"") for key, value in sut.state.take_changes(1)}
    tables = {name for name in sut.state.tables if any(str(name).encode() in key for key in written)}
    assert MEMORY in tables
    assert not any(name.startswith((OWN_PREFIX, SHARED_PREFIX)) for name in tables)
    assert max(written.values()) < 150
    sut.run([], tick_ms=(at_s + 2 * 3600 + 120) * 1000)
    sizes = [len(value or b"") for key, value in sut.state.take_changes(1) if OWN_PREFIX.encode() in key]
    assert len(sizes) == 2
    assert max(sizes) < 2_200


def test_tenants_do_not_touch() -> None:
    sut = learned_worker()
    mine = {key for name in ("baseline_phone_events", "shared_phone_events") for key in sut.state[name].data}
    assert {tenant for tenant, _ in mine} == {1}
    before = msgspec.msgpack.encode(sut.state["baseline_phone_events"].data[(1, 1)])
    for hour in range(3 * WEEK, 3 * WEEK + 12):
        start_s = MONDAY_S + hour * 3600
        sut.run([fix(1, start_s + minute, tenant=2) for minute in range(50)])
    assert msgspec.msgpack.encode(sut.state["baseline_phone_events"].data[(1, 1)]) == before


def test_a_policy_that_switches_it_off_forgets_the_open_hours() -> None:
    sut = learned_worker()
    at_us = (MONDAY_S + (3 * WEEK + 7) * 3600) * 1_000_000

    def policy(settings: str, lsn: int) -> Change:
        row = {"id": 1, "tenant_id": 1, "site_id": 4, "detector": "phone_events", "settings": settings}
        return change("policy", row, lsn=lsn, at_us=at_us)

    live(sut, range(3 * WEEK, 3 * WEEK + 7))
    sut.run([policy('{"enabled": false}', 5_000_000)])
    assert sut.wake_at_ms is None
    sut.run([policy('{"enabled": true}', 5_000_001)])
    assert live(sut, range(3 * WEEK + 7, 3 * WEEK + 30), devices=(1,)) == []
