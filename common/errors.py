"""The one kind of failure that a user is meant to read.

Whatever a user can cause or cure (a wrong setting, a missing server, a taken port) is raised as a
`WatchfloorError`; the command line turns it into one line on standard error and a non-zero exit.
Anything else is a defect and is reported as such, with its trace only on `--verbose`.
"""


class WatchfloorError(Exception):
    """Something is wrong outside the code, and the user can do something about it.

    Args:
        problem: what is wrong, as a sentence fragment without a full stop.
        advice: what to do next, as an imperative sentence fragment.
    """

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.problem}: {self.advice}"


class SettingsError(WatchfloorError):
    """A setting is unknown, missing or out of its range."""
