"""Failed tasks of the connector are started again."""

import time
from itertools import pairwise

from support.child_processes import OPTIONS, Said
from support.waiting import until

from common.errors import WatchfloorError
from deploy.embedded.connector_watch import ConnectorWatch


def test_failed_tasks_are_restarted_after_growing_delays_until_all_is_well() -> None:
    said, times, answers = Said(), list[float](), iter([["boom"], ["boom"], ["boom"]])

    def restart() -> list[str]:
        times.append(time.monotonic())
        return next(answers, [])

    watch = ConnectorWatch(OPTIONS, said, restart)
    watch.start()
    until(lambda: len(times) >= 6, "six looks")
    watch.stop()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 0.04
    assert gaps[1] >= 0.08
    assert gaps[2] >= 0.16
    assert gaps[3] < gaps[2]
    assert [lines for _, lines in said.events] == [["boom"]] * 3


def test_an_absent_connect_does_not_end_the_watch() -> None:
    looks = []

    def restart() -> list[str]:
        looks.append(1)
        raise WatchfloorError("no Kafka Connect answers", "start it")

    watch = ConnectorWatch(OPTIONS, Said(), restart)
    watch.start()
    until(lambda: len(looks) >= 3, "three looks")
    watch.stop()
