"""What is done to workers and topics: seeded, noted and counted in the scene."""

from chaos.scene import Scene
from chaos.workers import Worker


def kill_at_random_points(scene: Scene, worker: Worker, kills: int) -> None:
    """kill -9 under load, and often once more while the worker recovers."""
    for kill in range(kills):
        scene.let_pass(0.5, 3.0)
        worker.kill()
        scene.note(f"kill {kill}", "kills")
        while scene.random.random() < 0.4:
            worker.start()
            scene.let_pass(0.2, 1.5)
            worker.kill()
            scene.note("kill while it recovers", "kills while recovering")
        worker.start()
        worker.wait_ready()


def pause_past_the_session(scene: Scene, workers: list[Worker], pauses: int, *, kills: float) -> None:
    """SIGSTOP one of them, SIGCONT when another has taken over; with probability `kills` kill that one then.

    A late writer and a crash of the rightful owner at the same moment are the worst that a take-over can meet.
    """
    for pause in range(pauses):
        scene.let_pass(0.3, 2.5)
        paused, owner = scene.random.sample(workers, 2)
        paused.pause()
        scene.note(f"pause {pause} of {paused.name}", "pauses")
        scene.let_pass(scene.session_s + 0.2, scene.session_s + 2.5)
        paused.resume()
        scene.note("resume")
        if scene.random.random() < kills:
            scene.let_pass(0.0, 0.5)
            owner.kill()
            scene.note(f"kill of {owner.name}", "kills")
            owner.start()
            owner.wait_ready()


def come_and_go(scene: Scene, workers: list[Worker], changes: int, *, pauses: float) -> None:
    """Start, stop, kill, and with probability `pauses` pause one of these workers; one at least runs on."""
    for _ in range(changes):
        worker = scene.random.choice(workers)
        running = [each for each in workers if each.running]
        drawn = scene.random.random()
        if not worker.running:
            worker.start()
            scene.note(f"{worker.name} starts", "starts")
        elif drawn < pauses:
            worker.pause()
            scene.note(f"{worker.name} is paused", "pauses")
            scene.let_pass(scene.session_s + 0.2, scene.session_s + 1.5)
            worker.resume()
            scene.note("resume")
        elif len(running) == 1:
            continue
        elif scene.random.random() < 0.6:
            worker.wait_ready()
            worker.stop()
            scene.note(f"{worker.name} stops", "stops")
        else:
            worker.kill()
            scene.note(f"{worker.name} is killed", "kills")
        scene.let_pass(0.5, 4.0)


def compact_hard(scene: Scene, *, lag_ms: int) -> None:
    """A new segment each half second, cleaned at once where `lag_ms` allows it."""
    scene.cluster.configure_topic(
        f"{scene.name}.state-changelog",
        {
            "segment.ms": "500",
            "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": str(lag_ms),
            "max.compaction.lag.ms": str(max(lag_ms, 500)),
            # Longer than a recovery, or one could read a key's value and miss the tombstone behind it.
            "delete.retention.ms": "10000",
        },
    )


def compacted_share(scene: Scene) -> float:
    """How much of the changelog is gone, 0..1."""
    topic = f"{scene.name}.state-changelog"
    ends = scene.cluster.reader.ends(topic)
    left = len(scene.cluster.reader.read(topic))
    return 1 - left / max(1, sum(ends.values()))
