"""Fills the input topics of a benchmark with the generator of peers/."""

import json
import subprocess
import sys
from pathlib import Path

from engines import PROGRAMS
from measure import Expected, RunFailedError, say
from scratch_broker import ScratchBroker


class Inputs:
    """The input topics on a broker.

    Args:
        broker: the broker of the topics.
        directory: the directory for the generator's results.
    """

    def __init__(self, broker: ScratchBroker, directory: Path) -> None:
        self._broker = broker
        self._directory = directory
        self._filled: dict[tuple[int, int], Expected] = {}

    def fill(self, events: int, persons: int = 2_000) -> Expected:
        """A topic with this many events; a second call with the same numbers returns the same topic.

        Raises:
            RunFailedError: the generator failed.
        """
        if (events, persons) not in self._filled:
            self._filled[events, persons] = self._fill(events, persons)
        return self._filled[events, persons]

    def _fill(self, events: int, persons: int) -> Expected:
        topic = f"input-{events}-{persons}"
        result = self._directory / f"{topic}.json"
        say(f"writing {events:,} events to {topic}")
        self._broker.create({topic: {}})
        program = [sys.executable, str(PROGRAMS / "generate.py")]
        arguments = [self._broker.address, topic, str(events), str(result), "--persons", str(persons)]
        with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as generator:
            try:
                for line in generator.stdout or ():
                    say(f"  {int(line):,} of {events:,} events written")
            except BaseException:
                generator.kill()
                raise
        if generator.returncode:
            raise RunFailedError(f"the generator ended with code {generator.returncode}")
        body = json.loads(result.read_text())
        return Expected(topic, body["events"], body["dropped"], frozenset(body["findings"]), body["persons"])
