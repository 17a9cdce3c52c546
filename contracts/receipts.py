"""Records of `noc.receipts`: which message was written to whom, received by whom and looked at by whom (B5.11).

Written by gateways in batches, best effort: a gateway that cannot reach the broker for long drops its oldest ones. They
hold nothing personal but the user ids of tokens. Pure: values in, values out.
"""

from collections.abc import Iterable

import msgspec

from contracts.feed import Header

SEEN_HEADER: Header = ("holds", b"seen")
"""On records with seen ids: a gateway that needs only those does not decode the others."""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive messages that were written equally often; both ends included."""

    first: int
    last: int
    recipients: int
    """Connections that each of them was written to."""


class Reach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a connection has got in its tenant's feed; cumulative, so the newest one replaces the others."""

    user: str
    connection: str
    endpoint: str
    written: int
    """Everything up to this seq that it may see was written to its socket."""
    received: int | None = None
    """The client said that it has everything up to this seq; None where it never said so."""
    left: bool = False
    """The connection is gone: this is its last entry."""


class SeenMark(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has looked at a message."""

    user: str
    id: str
    """Of the finding: `anomaly_id` on the dashboard."""
    at: str
    """ISO 8601 UTC."""
    may_act: bool = False
    """Whether the user could acknowledge it (`noc:ack_alerts`): a CRITICAL message counts as seen only then."""


class ReceiptBatch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="receipts", omit_defaults=True):
    """What one gateway has counted for one tenant since its last record."""

    tenant_id: int
    gateway: str
    """The process that wrote it."""
    at: str
    """ISO 8601 UTC."""
    epoch: str
    """The epoch of the feed that the numbers belong to."""
    runs: list[Run] = []
    connections: list[Reach] = []
    seen: list[SeenMark] = []


encode_receipts = msgspec.json.Encoder().encode
decode_receipts = msgspec.json.Decoder(ReceiptBatch).decode


def receipt_headers(batch: ReceiptBatch) -> list[Header]:
    """The headers of a record."""
    return [SEEN_HEADER] if batch.seen else []


class RecipientRuns:
    """Counts how often each message of one tenant was written; a range costs the same however long it is.

    Kept as differences: a range raises the count at its first seq and lowers it after its last.
    """

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}

    def __len__(self) -> int:
        """The number of differences, at most two a range."""
        return len(self._steps)

    def add(self, first: int, last: int, recipients: int) -> None:
        """All messages from `first` to `last` were written to this many connections."""
        steps = self._steps
        steps[first] = steps.get(first, 0) + recipients
        steps[last + 1] = steps.get(last + 1, 0) - recipients

    def runs(self) -> list[Run]:
        """The counts so far, in order, without messages that were never written; the counts of neighbours differ."""
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
        return sum(step for first, step in self._steps.items() if first <= seq)


class RecipientCounts:
    """How many connections each message was written to, by all gateways, live or later: a fold of the topic.

    A client that resumes may get some messages again and is counted again. Each epoch of the feed has its own counts.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, int], RecipientRuns] = {}

    def take(self, batch: ReceiptBatch) -> None:
        """Add a record of the topic, each one once; the order does not matter."""
        self.add(batch.epoch, batch.tenant_id, batch.runs)

    def add(self, epoch: str, tenant_id: int, runs: Iterable[Run]) -> None:
        """Add the runs of one record."""
        found = self._runs.setdefault((epoch, tenant_id), RecipientRuns())
        for run in runs:
            found.add(run.first, run.last, run.recipients)

    def of(self, epoch: str, tenant_id: int, seq: int) -> int:
        """How many connections a message was written to; 0 where no gateway reported any."""
        found = self._runs.get((epoch, tenant_id))
        return found.of(seq) if found else 0

    def settled(self, epoch: str, tenant_id: int, below: int) -> list[Run]:
        """Remove and return the counts of the messages below a seq, so that a reader can store them and stay small.

        A later record about one of them counts from 0 again: add its counts to those that were stored.
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
