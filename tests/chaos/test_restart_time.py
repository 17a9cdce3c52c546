"""From kill -9 to the first new event, with one worker."""

import statistics
import time

import pytest
from chaos.scene import Scene, chosen, long_form
from support.waiting import until

pytestmark = [pytest.mark.timeout(600), long_form]


def test_restart_to_first_event(scene: Scene) -> None:
    """The median over a few kills; the clock starts with the new process."""
    (worker,) = scene.begin(1, chosen("RATE", 1_000, 1_000))
    times = []
    for _ in range(int(chosen("RESTARTS", 3, 10))):
        scene.let_pass(1.5, 2.5)
        worker.kill()
        scene.note("kill", "kills")
        before = scene.cluster.reader.ends(f"{scene.name}.processed")
        worker.start()
        started_s = time.monotonic()
        until(lambda before=before: _new_events(scene, before), f"{worker.name} goes on", within_s=60)
        times.append(time.monotonic() - started_s)
    median_s = statistics.median(times)
    scene.measures["restart_s"] = times
    print(f"restart to first event: {', '.join(f'{each:.2f}' for each in times)} s, median {median_s:.2f} s")
    scene.conclude(raw=True)
    assert median_s <= chosen("RESTART_S_MAX", 3.0, 3.0)


def _new_events(scene: Scene, before: dict[int, int]) -> bool:
    """Whether clean events were written since; those that a re-run owes count, they are new to everybody."""
    return any(end > before[part] for part, end in scene.cluster.reader.ends(f"{scene.name}.processed").items())
