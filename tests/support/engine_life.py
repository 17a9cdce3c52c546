"""One life of a worker's engine without a process: a cycle over partition 0, and a clock that it drives itself."""

from streams.engine.loop.loop import EngineLoop


class Life:
    """What every such life can do; a subclass makes the cycle, with `_clock` as its clock."""

    cycle: EngineLoop
    _now_s = 1_000.0

    def _clock(self) -> float:
        self._now_s += 0.001
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        self._now_s += seconds

    async def run(self, rounds: int) -> None:
        self.cycle.ownership.assign({0})
        for _ in range(rounds):
            await self.cycle.run_once()
        await self.cycle.close()
