"""Checks and their results, and how checks run: concurrently, each with a timeout.

Knows nothing about the components.
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
    """The result of a check."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """The check could not be made, because of a problem that another check reports."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report."""

    component: str
    check: str
    state: State
    detail: str
    advice: str = ""
    """What to do; not empty for a problem."""


@dataclass(frozen=True, slots=True)
class Target:
    """The chain to check."""

    settings: Settings
    state_dir: Path | None = None
    """The state directory of an embedded stack; None for any other chain."""
    endpoints: Endpoints | None = None
    """The addresses of an embedded stack that is ready."""
    timeout_s: float = 8.0
    """The timeout of each check."""


class Report:
    """Collects the results of one component's checks."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.results: list[Result] = []

    def ok(self, check: str, detail: str) -> None:
        """Add a check that succeeded."""
        self.results.append(Result(self.component, check, State.OK, detail))

    def problem(self, check: str, detail: str, advice: str) -> None:
        """Add a check that found a problem, with what to do about it."""
        self.results.append(Result(self.component, check, State.PROBLEM, detail, advice))

    def failed(self, check: str, failure: WatchfloorError) -> None:
        """Add a check that failed with an error that says what to do."""
        self.problem(check, failure.problem, failure.advice)

    def unknown(self, detail: str, *checks: str) -> None:
        """Add checks that could not be made."""
        self.results.extend(Result(self.component, check, State.UNKNOWN, detail) for check in checks)


@dataclass(frozen=True, slots=True)
class Probe:
    """The checks of one component: their names and the function that makes them."""

    component: str
    run: Callable[[Target, Report], Awaitable[None]]
    advice: str
    """What to do if the component does not answer in time."""


def in_thread(check: Callable[[Target, Report], None]) -> Callable[[Target, Report], Awaitable[None]]:
    """Run a probe that blocks in a thread, so that the others go on."""

    async def probe(target: Target, report: Report) -> None:
        await asyncio.to_thread(check, target, report)

    return probe


async def examine(target: Target, probes: Sequence[Probe]) -> list[Result]:
    """Run the probes concurrently; return the results in the order of the probes."""
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
    # A copy, because a thread that still runs after its timeout may add results.
    return list(report.results)
