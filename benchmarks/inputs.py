"""Fills input topics, once a benchmark, by the generator of peers/."""

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
        broker: where they are.
        directory: where the generator's results go.
    """

    def __init__(self, broker: ScratchBroker, directory: Path) -> None:
        self._broker = broker
        self._directory = directory
        self._filled: dict[tuple[int, int], Expected] = {}

    def fill(self, events: int, persons: int = 2_000) -> Expected:
        """A topic of so many events; the same one when it is asked for again.

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
