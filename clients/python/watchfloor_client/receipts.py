"""Which messages were received and seen, and what of it the gateway does not know yet. Sans I/O.

The caller sends what is `due` every few seconds: so a connection stays far below the gateway's limit of messages
a minute, however many messages come. The same rules in TypeScript are clients/typescript/src/receipts.ts.
"""

from collections.abc import Iterable
from typing import Any

SEEN_IDS_MAX = 100
"""In one message, by the contract."""
_WAITING_MAX = 1_000


class Receipts:
    """The receipts of one feed over all its connections."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._reported: int | None = None
        self._seen: dict[str, None] = {}
        """In the order of their arrival; the oldest are dropped when there are too many."""

    def received(self, seq: int) -> None:
        """The reader has everything up to `seq`."""
        self._received = seq

    def seen(self, ids: Iterable[str]) -> None:
        """A person has looked at these: `anomaly_id` on the dashboard, a finding's `id` on the stream."""
        self._seen.update(dict.fromkeys(ids))
        while len(self._seen) > _WAITING_MAX:
            del self._seen[next(iter(self._seen))]

    def reconnected(self) -> None:
        """The last report may have been lost with the connection: it is due again."""
        self._reported = None

    def due(self) -> list[dict[str, Any]]:
        """The messages to send now, at most two."""
        messages: list[dict[str, Any]] = []
        if self._received is not None and self._received != self._reported:
            self._reported = self._received
            messages.append({"type": "received", "seq": self._received})
        if self._seen:
            ids = list(self._seen)[:SEEN_IDS_MAX]
            for each in ids:
                del self._seen[each]
            messages.append({"type": "seen", "ids": ids})
        return messages
