"""Records of `noc.receipts`: who was written what, who has had it, and who has looked at it (B5.11).

Written by gateways, batched, best effort: a gateway that cannot reach the broker for long drops its oldest.
Nothing personal is in them but the user ids of tokens. Pure: values in, values out.
"""

from collections.abc import Iterable

import msgspec

Header = tuple[str, bytes]

SEEN_HEADER: Header = ("holds", b"seen")
"""On records that hold seen ids: a gateway that wants only those need not decode the others."""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Messages in a row that were written equally often; both ends included."""

    first: int
    last: int
    recipients: int
    """Connections that each of them was written to."""


class Reach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a connection has come in its tenant's feed; cumulative, so the newest one holds."""

    user: str
    connection: str
    endpoint: str
    written: int
    """Everything up to this seq that it may see was handed to its socket."""
    received: int | None = None
    """The client said that it has had everything up to this seq; None where it never said."""
    left: bool = False
    """The connection is gone: this is its last entry."""


class SeenMark(msgspec.Struct, frozen=True, kw_only=True):
    """A person has looked at a message."""

    user: str
    id: str
    """Of the finding: `anomaly_id` on the dashboard."""
    at: str
    """ISO 8601 UTC."""


class ReceiptBatch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="receipts", omit_defaults=True):
    """What one gateway has to say of one tenant since its last record."""

    tenant_id: int
    gateway: str
    """The process that wrote it."""
    at: str
    """ISO 8601 UTC."""
    epoch: str
    """Of the feed that the numbers belong to."""
    runs: list[Run] = []
    connections: list[Reach] = []
    seen: list[SeenMark] = []


encode_receipts = msgspec.json.Encoder().encode
decode_receipts = msgspec.json.Decoder(ReceiptBatch).decode


def receipt_headers(batch: ReceiptBatch) -> list[Header]:
    """The headers of a record."""
    return [SEEN_HEADER] if batch.seen else []


class RecipientRuns:
    """Counts how often each message of one tenant was written; one step a range, however long it is.

    Kept as differences: a range raises the count at its first seq and lowers it behind its last.
    """

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}

    def __len__(self) -> int:
        """Steps held, at most two a range."""
        return len(self._steps)

    def add(self, first: int, last: int, recipients: int) -> None:
        """All messages from `first` to `last` were written to so many connections."""
        steps = self._steps
        steps[first] = steps.get(first, 0) + recipients
        steps[last + 1] = steps.get(last + 1, 0) - recipients

    def runs(self) -> list[Run]:
        """The counts so far, in order, without what was never written; neighbours differ."""
        found: list[Run] = []
        count = 0
        first = 0
        for seq in sorted(self._steps):
            step = self._steps[seq]
            if step == 0:
                continue
            if count:
                found.append(Run(first, seq - 1, count))
            first, count = seq, count + step
        return found

    def of(self, seq: int) -> int:
        """How often one message was written."""
        return sum(step for place, step in self._steps.items() if place <= seq)

    def clear(self) -> None:
        """Begin anew."""
        self._steps.clear()


class RecipientCounts:
    """How many connections each message was written to, over all gateways and catch-ups: a fold of the topic.

    A client that resumes is written some messages again and counts again. Numbers of another epoch of the feed
    are kept apart.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, int], RecipientRuns] = {}

    def take(self, batch: ReceiptBatch) -> None:
        """A record of the topic; the order does not matter, but each one counts once."""
        self.add(batch.epoch, batch.tenant_id, batch.runs)

    def add(self, epoch: str, tenant_id: int, runs: Iterable[Run]) -> None:
        """The runs of one record."""
        found = self._runs.setdefault((epoch, tenant_id), RecipientRuns())
        for run in runs:
            found.add(run.first, run.last, run.recipients)

    def of(self, epoch: str, tenant_id: int, seq: int) -> int:
        """How many connections a message was written to; 0 where nobody said so."""
        found = self._runs.get((epoch, tenant_id))
        return found.of(seq) if found else 0

    def settled(self, epoch: str, tenant_id: int, below: int) -> list[Run]:
        """The counts of the messages below a seq, which are forgotten: so that a reader can persist them and stay small.

        A later record about one of them counts from 0 again: add what comes then to what was persisted.
        """
        found = self._runs.pop((epoch, tenant_id), None)
        if found is None:
            return []
        settled: list[Run] = []
        rest = RecipientRuns()
        for run in found.runs():
            if run.first < below:
                settled.append(Run(run.first, min(run.last, below - 1), run.recipients))
            if run.last >= below:
                rest.add(max(run.first, below), run.last, run.recipients)
        if len(rest):
            self._runs[epoch, tenant_id] = rest
        return settled
