"""A check that hangs or fails is a result like others, and holds up no other."""

import asyncio

from common.errors import WatchfloorError
from common.settings.load import Settings
from watchfloor.doctor.checks import Probe, Report, Result, State, Target, examine


def run_probes(*probes: Probe, timeout_s: float = 0.2) -> list[Result]:
    return asyncio.run(examine(Target(Settings(), timeout_s=timeout_s), probes))


def test_a_component_that_hangs_is_a_problem_and_holds_up_no_other() -> None:
    async def hang(_: Target, report: Report) -> None:
        report.ok("first", "still answered")
        await asyncio.Event().wait()

    async def well(_: Target, report: Report) -> None:
        report.ok("alive", "here")

    results = run_probes(Probe("slow", hang, "look"), Probe("quick", well, ""))
    assert [(result.component, result.check, result.state) for result in results] == [
        ("slow", "first", State.OK),
        ("slow", "answers", State.PROBLEM),
        ("quick", "alive", State.OK),
    ]
    assert results[1].advice == "look"


def test_a_failure_that_says_what_to_do_is_reported_as_it_is() -> None:
    async def fail(_: Target, report: Report) -> None:
        report.ok("first", "")
        raise WatchfloorError("the thing is broken", "mend it")

    failed = run_probes(Probe("thing", fail, "unused"))[-1]
    assert (failed.state, failed.detail, failed.advice) == (State.PROBLEM, "the thing is broken", "mend it")
