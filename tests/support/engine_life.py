"""One life of a worker's engine without a process: its loop over partition 0, and a clock that it drives itself."""

from streams.engine.loop.loop import EngineLoop
from streams.engine.model import OutputRecord
from streams.engine.spec import EngineTopics, SourceTopic


def topics_of(*sources: str, outputs: tuple[str, ...] = ()) -> EngineTopics:
    """Topics that are named like what they hold; the fenced output is `feed`."""
    return EngineTopics(
        sources=tuple(SourceTopic(name, name) for name in sources),
        outputs={name: name for name in ("feed", *outputs)},
        fenced_output="feed",
        journal="journal",
        state="state",
    )


def fence(generation: int) -> OutputRecord:
    """The record that begins a generation on the feed."""
    return OutputRecord(None, b"fence", (("generation", b"%d" % generation),))


class Life:
    """What every such life can do; a subclass makes the loop, with `_clock` as its clock."""

    loop: EngineLoop
    _now_s = 1_000.0

    def _clock(self) -> float:
        self._now_s += 0.001
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        self._now_s += seconds

    async def run(self, rounds: int) -> None:
        self.loop.ownership.assign({0})
        for _ in range(rounds):
            await self.loop.run_once()
        await self.loop.close()
