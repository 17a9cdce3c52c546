"""Who is told what was written to whom (B5.11), as the hub sees it."""

from collections.abc import Sequence
from typing import Protocol

from gateway.feed.rendering import FeedEntry


class DeliveryListener(Protocol):
    """Told who was written what (B5.11)."""

    def published(self, entries: Sequence[FeedEntry]) -> None:
        """These records were handed to all who may see them."""
        ...

    def remembered(self, entries: Sequence[FeedEntry]) -> None:
        """These records were read back from the past; nobody was handed them."""
        ...

    def written(self, tenant_id: int, first_seq: int, last_seq: int, recipients: int) -> None:
        """All records from the first to the last seq were written to so many connections."""
        ...

    def written_one(self, tenant_id: int, seq: int) -> None:
        """A record was written to one connection."""
        ...
