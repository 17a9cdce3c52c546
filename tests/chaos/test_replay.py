"""Replays of a run with kills and bursts say byte for byte what is left in its topics."""

import asyncio
from pathlib import Path

import pytest
from chaos.acts import kill_at_random_points
from chaos.scene import Scene, chosen
from chaos.workers import DETECTION
from support.replay_comparison import Compared, compare

from common.settings.load import load_settings

pytestmark = pytest.mark.timeout(600)


def test_replays_of_a_run_with_kills(scene: Scene, tmp_path: Path) -> None:
    """By the journal. By the log alone only where nothing came late, which is seldom here: the load's producer sends
    each topic by itself. `tests/chain/worker/test_replay.py` has what a connector sends.
    """
    (worker,) = scene.begin(1, chosen("RATE", 500, 2_000))
    kill_at_random_points(scene, worker, int(chosen("KILLS", 2, 10)))
    scene.conclude(raw=True)
    settings = load_settings(tmp_path / "watchfloor.toml", environ=DETECTION)

    async def all_partitions() -> list[Compared]:
        return [await compare(settings, partition) for partition in range(settings.kafka.partitions)]

    compared = asyncio.run(all_partitions())
    alone = [each.without_journal for each in compared]
    print(f"late {[each.summary.late for each in compared]}, replayed without the journal {sum(alone)}", flush=True)
    said = [value for each in compared for values in each.feed.values() for value in values]
    assert any(b'"rate_limited"' in value for value in said)
