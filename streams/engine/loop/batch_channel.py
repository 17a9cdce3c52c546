"""The channel on which the engine hands micro-batches to the application's agents.

Faust stops its channels while the group decides anew, and empties them: what its own consumer had put there is
read again by the next owner. The engine waits for the micro-batches that it has handed over, and it stops by
itself, at the end of a round. So a stopped channel would hold its round up for as long as the decision waits for
the end of that round, and an emptied one would hold it up for ever. This channel is never stopped nor emptied.
"""

from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue


class BatchChannel(faust.Channel[Any]):
    """A channel whose queue Faust's flow control knows nothing of."""

    _queue: ThrowableQueue[Any] | None

    @property
    def queue(self) -> ThrowableQueue[Any]:
        """The queue between the engine and one agent."""
        if self._queue is None:
            always = FlowControlEvent(initially_suspended=False)
            self._queue = ThrowableQueue(flow_control=always, clear_on_resume=False)
        return self._queue
