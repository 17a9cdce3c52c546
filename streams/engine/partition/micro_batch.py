"""A micro-batch: the records of one partition that are processed and written as one. No I/O."""

import asyncio
from typing import Self

from streams.engine.model import Entry, Headers, OutputRecord
from streams.engine.state.partition_state import PartitionState


class MicroBatch:
    """The records of one partition that are processed and written as one.

    An agent enters it (`with batch:`), reads `entries`, `tick_ms` and `ticked_ms`, changes `state`, calls `emit`,
    sets `wake_at_ms`, `log_ms` and `fired_ms`, and adds to `late`. It must not await in between: nothing else may
    touch the state meanwhile.
    """

    __slots__ = (
        "_processed",
        "entries",
        "fired_ms",
        "late",
        "log_ms",
        "new_history",
        "number",
        "outputs",
        "partition",
        "repeats",
        "spans",
        "state",
        "tick_ms",
        "ticked_ms",
        "wake_at_ms",
    )

    def __init__(
        self,
        partition: int,
        number: int,
        state: PartitionState,
        entries: list[Entry],
        spans: dict[str, tuple[int, int]],
        tick_ms: int | None,
    ) -> None:
        self.partition = partition
        self.number = number
        """Counts the micro-batches of the partition, from 1, without holes."""
        self.state = state
        self.entries = entries
        """First those of topics ordered by arrival, then the others in commit order."""
        self.spans = spans
        self.tick_ms = tick_ms
        """Log time up to which the timers that are due fire, after the entries; None: none fire. It decides which
        timers fire and nothing else: what a timer does follows from the time at which it was due."""
        self.ticked_ms = 0
        """The latest time at which a timer that an earlier tick has fired was due: a record from before it is late."""
        self.fired_ms = 0
        """The same for this micro-batch's tick, set by the agent; 0: it fired none."""
        self.log_ms = 0
        """How far the log has come, set by the agent: commit time of the last record; 0: it cannot say."""
        self.late = 0
        self.repeats = 0
        self.new_history = False
        """Whether a snapshot showed that the LSNs have begun anew: another database stands behind the topics."""
        self.outputs: dict[str, list[OutputRecord]] = {}
        """Output topic to its records, in order."""
        self.wake_at_ms: int | None = None
        """When the agent wants a tick, Unix milliseconds; None: not before new records come."""
        self._processed: asyncio.Future[None] | None = None

    @property
    def processed(self) -> asyncio.Future[None]:
        """Done when the agent has processed it. Made when it is first asked for: a fold without a loop needs none."""
        if self._processed is None:
            self._processed = asyncio.get_running_loop().create_future()
        return self._processed

    def emit(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Append a record to an output topic of the engine's spec, in the partition of the micro-batch."""
        self.outputs.setdefault(topic, []).append(OutputRecord(key, value, headers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Report to the engine that processing has ended. An error is a defect of the agent: the engine stops."""
        if not self.processed.done():
            if error is None:
                self.processed.set_result(None)
            else:
                self.processed.set_exception(error)
        return isinstance(error, Exception)
