"""`guarantee: transactions`: a plain reader of committed records sees everything once, whoever dies or sleeps.

The reader knows nothing of fences, generations and numbers: what it reads is verified as it lies there.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.acts import come_and_go, compact_hard, pause_past_the_session
from chaos.cluster import Cluster
from chaos.scene import Scene, chosen, long_form
from chaos.verifier import Verdict
from chaos.workers import Worker

pytestmark = pytest.mark.timeout(1_800)


@pytest.fixture
def scene(cluster: Cluster, seed: int, tmp_path: Path) -> Iterator[Scene]:
    """A run of its own."""
    with Scene(cluster, f"tx-{secrets.token_hex(3)}", tmp_path, seed, guarantee="transactions") as made:
        yield made


def conclude(scene: Scene) -> Verdict:
    """Verify what is committed, without the readers' rule having had anything to do."""
    verdict = scene.conclude(raw=True)
    told_by_the_rule = ("fenced_off_feed", "repeated_feed", "fenced_off_journal", "fenced_off_state", "repeated_clean")
    assert not {name: verdict.counts[name] for name in told_by_the_rule if verdict.counts[name]}
    assert not verdict.counts["batches_run_again"], "a micro-batch is in the journal twice"
    return verdict


def test_paused_past_its_session_and_killed(scene: Scene) -> None:
    """Of two workers one sleeps while the other takes over; when it wakes up, now and then the other one dies.

    A changelog without any compaction lag: nothing late can displace what is right, since the broker refuses it.
    """
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=0)
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 2, 25)), kills=0.6)
    verdict = conclude(scene)
    assert verdict.counts["takeovers"] > 4, "nobody took anything over"


@long_form
def test_the_worker_and_the_broker_are_killed(scene: Scene) -> None:
    """kill -9 at random points, of a lone worker and of the broker under it."""
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    scene.supervisor.start()
    try:
        for kill in range(int(chosen("KILLS", 2, 25))):
            scene.let_pass(0.5, 2.0)
            worker.kill()
            scene.note(f"kill {kill}", "kills")
            worker.start()
            if scene.random.random() < 0.5:
                worker.wait_ready()
            if kill % 2 == 0:
                scene.let_pass(0.0, 1.0)
                scene.cluster.kill()
                scene.note("broker kill", "broker kills")
                scene.let_pass(0.0, 2.0)
                scene.cluster.start()
                scene.note("broker back")
        scene.load.stop()
        scene.settle()
    finally:
        scene.supervisor.stop()
    conclude(scene)


@long_form
def test_workers_come_and_go(scene: Scene) -> None:
    """Up to three at a time, stopped, killed and paused: transactional ids change hands while they are in use."""
    workers: list[Worker] = scene.begin(1, chosen("RATE", 2_000, 2_000))
    workers += [scene.worker(), scene.worker()]
    come_and_go(scene, workers, int(chosen("CHANGES", 8, 30)), pauses=0.2)
    conclude(scene)
