import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import fanout_load
import produce
import pytest
from fanout_cases import STEADY
from fanout_hard import StormRun
from fanout_measure import SteadyRun
from fanout_servers import CENTRIFUGE, NAIVE, WATCHFLOOR
from fanout_table import Measured, figures, rows

from contracts.feed import AnomalyDetected, decode_feed_record

RUN = SteadyRun(
    deliveries_per_s=100_000,
    cpu_s_per_million=5.0,
    p50_ms=10.0,
    p99_ms=20.0,
    max_ms=30.0,
    server_cores=0.5,
    load_cores=0.4,
    broker_cores=0.2,
    producer_cores=0.1,
    other_cores=0.0,
    closed=0,
    lost=0,
    repeated=0,
    behind=0,
    peak_mib=100.0,
    late_ms=1.0,
    notes={},
)
STORM = StormRun(
    caught_up_s=5.0,
    caught_up_p50_s=3.0,
    behind=0,
    lost=0,
    repeated=0,
    unrecovered=0,
    early=0,
    refused=0,
    cpu_s=6.0,
    peak_mib=200.0,
    notes={},
)
CASE = next(case for case in STEADY if case.name == "100k")


def test_the_producers_records_are_what_a_worker_writes() -> None:
    value = produce.maker(3, "record")(7, 9, 1_700_000_000_000_000_123, "2026-11-21T17:00:00.000001Z")

    record = decode_feed_record(value)

    assert isinstance(record, AnomalyDetected)
    assert (record.tenant_id, record.seq, record.event_id) == (3, 7, "attendance:9:1700000000000000123")
    assert record.findings[0].id == record.id


def test_ready_made_messages_name_the_message_before_them() -> None:
    value = json.loads(produce.maker(3, "message")(7, 9, 5, "2026-11-21T17:00:00.000001Z"))

    assert (value["seq"], value["prev_seq"], value["type"]) == (7, 6, "anomaly_detected")


def test_every_tenant_gets_its_rate_in_every_second() -> None:
    first, second = (list(islice(produce.turns({1: 3, 2: 1}), begin, begin + 4)) for begin in (0, 4))

    assert Counter(first) == Counter(second) == {1: 3, 2: 1}


def measured(ours: SteadyRun, storm: StormRun = STORM) -> dict[str, bool | None]:
    steady = {(CASE.name, WATCHFLOOR.name): [ours], (CASE.name, CENTRIFUGE.name): [RUN]}
    return {figure.name: figure.met for figure in figures(Measured(steady=steady, storm=[storm]))}


def test_a_run_within_its_targets_meets_them_all() -> None:
    assert False not in measured(RUN).values()


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"p99_ms": 31.0}, "watchfloor_100k_p99_ms"),
        ({"cpu_s_per_million": 7.1}, "watchfloor_100k_cpu_s_per_million"),
        ({"cpu_s_per_million": 5.1}, "100k_cpu_s_per_million_ratio_to_centrifuge"),
        ({"closed": 1}, "watchfloor_100k_closed"),
        ({"lost": 1}, "watchfloor_100k_lost"),
        ({"repeated": 1}, "watchfloor_100k_repeated"),
        ({"behind": 1}, "watchfloor_100k_behind"),
    ],
)
def test_what_is_wrong_with_a_run_misses_its_target(change: dict[str, float], figure: str) -> None:
    assert measured(replace(RUN, **change))[figure] is False


@pytest.mark.parametrize("wrong", ["behind", "lost", "repeated", "unrecovered", "early"])
def test_a_storm_that_loses_or_repeats_misses_its_target(wrong: str) -> None:
    assert measured(RUN, replace(STORM, **{wrong: 1}))["storm_lost_repeated_unrecovered_behind"] is False


def test_a_server_that_does_not_keep_up_is_said_to_fall_behind() -> None:
    slow = Measured(steady={(CASE.name, NAIVE.name): [replace(RUN, behind=12)]})

    assert rows(slow)[0][-1] == "falls behind"


def test_a_machine_without_go_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_load.shutil, "which", lambda *_args, **_named: None)

    assert "Go is not installed" in (fanout_load.build("load", tmp_path) or "")
