"""The broker is killed and comes back: workers wait, or end with one line and go on when they are restarted."""

import pytest
from chaos.scene import Scene, chosen, long_form

pytestmark = pytest.mark.timeout(1_800)


def test_the_broker_is_killed_under_one_worker(scene: Scene) -> None:
    """Nobody else can have taken over: the topics themselves hold no repeat."""
    outages(scene, workers=1)
    scene.conclude(raw=True)


@long_form
def test_the_broker_is_killed_under_two_workers(scene: Scene) -> None:
    """An outage outlasts the session, so for the group each of the two was paused; the readers' rule has to do."""
    outages(scene, workers=2)
    scene.conclude(raw=False)


def outages(scene: Scene, workers: int) -> None:
    """SIGKILL, some seconds of silence, start; a supervisor restarts workers that gave up. Some begin in an outage."""
    started = scene.begin(workers, chosen("RATE", 2_000, 2_000))
    scene.supervisor.start()
    try:
        for kill in range(int(chosen("BROKER_KILLS", 2, 8))):
            scene.let_pass(1.0, 3.0)
            if scene.random.random() < 0.4:
                victim = scene.random.choice(started)
                victim.kill()
                victim.start()
                scene.note(f"kill of {victim.name}, so that it starts into the outage", "kills")
                scene.let_pass(0.2, 2.5)
            scene.cluster.kill()
            scene.note(f"broker kill {kill}", "broker kills")
            scene.let_pass(0.0, chosen("SILENCE_S", 2, 5))
            scene.cluster.start()
            scene.note("broker back")
            scene.let_pass(1.0, 3.0)
        scene.load.stop()
        scene.settle()
    finally:
        scene.supervisor.stop()
    for worker in started:
        for code, line in worker.exits:
            assert code > 0, f"{worker.name} ended with {code}"
            clear = line.startswith("watchfloor: ") and "unexpected" not in line
            assert clear, f"{worker.name} ended without one clear line: {line}"
