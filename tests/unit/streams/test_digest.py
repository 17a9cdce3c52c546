"""The digest changes with whatever may change an output, and with nothing else."""

from typing import Any

import msgspec
import pytest
from support.changed_settings import changed

from common.settings.engine import EngineSettings
from common.settings.load import Settings, load_settings
from common.settings.worker import WorkerSettings
from detectors.registry import DETECTORS
from streams.digest import output_digest

SETTINGS = load_settings(environ={})


def digest(settings: Settings = SETTINGS, release: str = "1.0", detectors: Any = DETECTORS) -> str:
    return output_digest(release, detectors, settings.worker, settings.source)


def test_the_same_gives_the_same() -> None:
    assert digest() == digest(load_settings(environ={}))
    assert len(digest()) == 16
    assert int(digest(), 16) >= 0


@pytest.mark.parametrize(
    "values",
    [
        {"worker.rate_limit.max_events_per_second": 99},
        {"worker.detectors": ("overtime",)},
        {"worker.policies": {"overtime": {"day_hours_max": 9}}},
        {"worker.state.entities_per_tenant_max": 7},
        {"source.tables": {"attendance": {"table": "checkins"}}},
    ],
)
def test_what_decides_outputs_counts(values: dict[str, Any]) -> None:
    assert digest(changed(SETTINGS, values)) != digest()


def test_release_detectors_their_order_and_their_thresholds_count() -> None:
    class Stricter:
        name = DETECTORS[2].name
        policy = msgspec.structs.replace(DETECTORS[2].policy, enabled=False)

    others = [
        digest(release="1.1"),
        digest(detectors=DETECTORS[1:]),
        digest(detectors=DETECTORS[::-1]),
        digest(detectors=[*DETECTORS[:2], Stricter, *DETECTORS[3:]]),
    ]
    assert len({digest(), *others}) == 5


@pytest.mark.parametrize(
    "values",
    [
        {"worker.metrics.port": 1},
        {"worker.data_dir": "/elsewhere"},
        {"worker.breaker.tenant_failures_min": 3},
        {"worker.changelog.interval_ms": 3},
        {"worker.guarantee": "transactions"},
        {"kafka.partitions": 3},
    ],
)
def test_what_decides_no_output_does_not_count(values: dict[str, Any]) -> None:
    assert digest(changed(SETTINGS, values)) == digest()


def test_a_setting_that_is_added_to_the_worker_counts_by_itself() -> None:
    """Only what is known to have no effect is left out."""
    own = set(WorkerSettings.model_fields) - set(EngineSettings.model_fields)
    assert own - {"data_dir", "metrics", "breaker"} == {
        "detectors",
        "policies",
        "intake",
        "rate_limit",
        "references",
        "timers",
        "state",
        "feed",
    }, "a new section: say in streams/digest.py whether it decides outputs, and here"
