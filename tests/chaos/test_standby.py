"""Warm copies of the other worker's partitions: a take-over from one is exact, and quick."""

import statistics
import time

import pytest
from chaos.acts import pause_past_the_session
from chaos.scene import SESSION_S, Scene, chosen, long_form
from chaos.workers import Worker
from support.waiting import happens, let_pass, until

pytestmark = pytest.mark.timeout(1_800)
TAKE_OVER_S_MAX = 15.0
STANDBY = ('standby.mode = "all"', "standby.interval_ms = 50")


def test_killed_and_paused_owners_are_replaced_from_copies(scene: Scene) -> None:
    """One dies for longer than its session, or stands still for it; the other goes on from its copies."""
    scene.worker_settings += STANDBY
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    used = 0.0
    for kill in range(int(chosen("KILLS", 2, 20))):
        scene.let_pass(1.0, 2.0)
        victim, other = scene.random.sample(workers, 2)
        victim.kill()
        scene.note(f"kill {kill} of {victim.name}", "kills")
        scene.let_pass(SESSION_S + 0.5, SESSION_S + 2.0)
        used += taken_from_copies(other)
        victim.start()
        victim.wait_ready()
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 1, 10)), kills=0.5)
    scene.conclude(raw=False)
    assert used > 0, "no copy was used"


def taken_from_copies(worker: Worker) -> float:
    """Partitions that it took over from a copy; waits a while for the first, a busy machine misses a worker late."""
    used = "watchfloor_worker_standby_recoveries_total"
    happens(lambda: worker.metric(used), within_s=TAKE_OVER_S_MAX)
    return worker.metric(used)


@long_form
@pytest.mark.parametrize("worker", [(), STANDBY], ids=["without", "with"])
def test_take_over_time(scene: Scene, worker: tuple[str, ...]) -> None:
    """Much state, kill -9 of one of two: how soon every partition speaks again. Prints; the target is with copies."""
    scene.worker_settings += worker
    workers = scene.begin(2, 0.0)
    scene.load.stop()
    scene.load.more_persons(int(chosen("ENTITIES", 100_000, 100_000)))
    scene.load.start(chosen("RATE", 1_000, 1_000))
    scene.let_pass(8.0, 8.0)
    times, topic = [], f"{scene.name}.processed"
    for _ in range(int(chosen("KILLS", 3, 3))):
        victim = scene.random.choice(workers)
        spoke = {part for part, end in scene.cluster.reader.ends(topic).items() if end}
        victim.kill()
        killed_s = time.monotonic()
        let_pass(0.2)  # what the dead one wrote last is there
        before = scene.cluster.reader.ends(topic)

        def all_speak(before: dict[int, int] = before, spoke: set[int] = spoke) -> bool:
            now = scene.cluster.reader.ends(topic)
            return all(now[part] > before[part] for part in spoke)

        until(all_speak, "every partition speaks again", within_s=60)
        times.append(time.monotonic() - killed_s)
        victim.start()
        victim.wait_ready()
        scene.let_pass(6.0, 6.0)
    median_s = statistics.median(times)
    print(
        f"take-over of half of the state, {'with' if worker else 'without'} copies: "
        f"{', '.join(f'{each:.2f}' for each in times)} s from the kill, median {median_s:.2f} s; "
        f"{median_s - SESSION_S:.2f} s without the session of {SESSION_S:g} s"
    )
    assert median_s < SESSION_S + 10
