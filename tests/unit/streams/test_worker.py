"""The worker process: what it says when it cannot start."""

import asyncio
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from common.settings.worker import MetricsSettings, WorkerSettings
from deploy.embedded.ports import choose
from streams import worker


def test_a_broker_that_goes_while_the_worker_starts_gives_one_clear_line(tmp_path: Path) -> None:
    taken: set[int] = set()
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{choose([], taken)}"),
        worker=WorkerSettings(metrics=MetricsSettings(port=choose([], taken)), data_dir=tmp_path),
    )
    with pytest.raises(WatchfloorError, match="no Kafka broker answers"):
        asyncio.run(worker._serve(settings, "epoch", tmp_path))


@pytest.mark.parametrize(
    ("worker_settings", "said"),
    [
        (
            WorkerSettings(detectors=("wrong_persom",)),
            "there is no detector 'wrong_persom': choose from .*wrong_person",
        ),
        (WorkerSettings(policies={"overtime": {"hours": 3}}), "the policy of overtime: .*unknown field `hours`"),
        (WorkerSettings(policies={"overtime": {"day_hours_max": "ten"}}), "the policy of overtime: Expected `float`"),
        (WorkerSettings(policies={"overtme": {}}), "no detector `overtme`: there are .*overtime"),
    ],
)
def test_a_wrong_detector_or_policy_is_told_before_a_missing_broker(worker_settings: WorkerSettings, said: str) -> None:
    with pytest.raises(WatchfloorError, match=said):
        worker.run_worker(Settings(worker=worker_settings))
