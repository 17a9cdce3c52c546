"""The worker process: what it says when it cannot start."""

import asyncio
from pathlib import Path

import pytest

from deploy.embedded.ports import choose
from streams import worker
from watchfloor.errors import WatchfloorError
from watchfloor.settings import KafkaSettings, Settings, WorkerSettings


def test_a_broker_that_goes_while_the_worker_starts_gives_one_clear_line(tmp_path: Path) -> None:
    taken: set[int] = set()
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{choose([], taken)}"),
        worker=WorkerSettings(metrics_port=choose([], taken), data_dir=tmp_path),
    )
    with pytest.raises(WatchfloorError, match="no Kafka broker answers"):
        asyncio.run(worker._serve(settings, "epoch", tmp_path))
