"""The channel on which the engine hands micro-batches to the application's agents.

Faust stops its channels while the group makes a new assignment, and empties them: what its own consumer had put there
is read again by the next owner. The engine waits for the micro-batches that it has handed over, and stops by itself at
the end of a round. With a stopped channel that round and the group's decision would wait for each other, and with an
emptied one the round would never end. This channel is neither stopped nor emptied.
"""

from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue


class BatchChannel(faust.Channel[Any]):
    """A channel that Faust's flow control does not touch."""

    _queue: ThrowableQueue[Any] | None

    @property
    def queue(self) -> ThrowableQueue[Any]:
        """The queue between the engine and one agent."""
        if self._queue is None:
            never_suspended = FlowControlEvent(initially_suspended=False)
            self._queue = ThrowableQueue(flow_control=never_suspended, clear_on_resume=False)
        return self._queue
