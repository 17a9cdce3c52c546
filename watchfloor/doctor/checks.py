"""What a check is and what it says, and how checks are run: all at once, each with a time limit.

Owns no knowledge of any component.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from common.errors import WatchfloorError
from common.settings.load import Settings
from watchfloor.local_stack import Endpoints


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It could not be made, because of a problem that another check reports."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report."""

    component: str
    check: str
    state: State
    detail: str
    advice: str = ""
    """What to do; never empty for a problem."""


@dataclass(frozen=True, slots=True)
class Target:
    """The chain that is examined."""

    settings: Settings
    state_dir: Path | None = None
    """Of an embedded stack; None for a chain that only the settings describe."""
    endpoints: Endpoints | None = None
    """Of an embedded stack that is ready."""
    timeout_s: float = 8.0
    """For each check."""


class Report:
    """Collects the results of one component's checks."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.results: list[Result] = []

    def ok(self, check: str, detail: str) -> None:
        """Note what is as it should be."""
        self.results.append(Result(self.component, check, State.OK, detail))

    def problem(self, check: str, detail: str, advice: str) -> None:
        """Note what is wrong and what to do."""
        self.results.append(Result(self.component, check, State.PROBLEM, detail, advice))

    def failed(self, check: str, failure: WatchfloorError) -> None:
        """Note a failure that already says what to do."""
        self.problem(check, failure.problem, failure.advice)

    def unknown(self, detail: str, *checks: str) -> None:
        """Note checks that could not be made."""
        self.results.extend(Result(self.component, check, State.UNKNOWN, detail) for check in checks)


@dataclass(frozen=True, slots=True)
class Probe:
    """The checks of one component: what they are called and how they are made."""

    component: str
    run: Callable[[Target, Report], Awaitable[None]]
    advice: str
    """What to do when it does not answer in time."""


async def examine(target: Target, probes: Sequence[Probe]) -> list[Result]:
    """Run the probes at once; the results come in the order of the probes."""
    reports = await asyncio.gather(*(_limited(probe, target) for probe in probes))
    return [result for report in reports for result in report]


async def _limited(probe: Probe, target: Target) -> list[Result]:
    report = Report(probe.component)
    try:
        async with asyncio.timeout(target.timeout_s):
            await probe.run(target, report)
    except TimeoutError:
        report.problem("answers", f"no answer in {target.timeout_s:g} s", probe.advice)
    except WatchfloorError as failure:
        report.failed("answers", failure)
    # A copy: a thread that is still at work after its time may go on noting.
    return list(report.results)
