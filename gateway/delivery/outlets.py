"""Receipts and audit records on their way to Kafka: how they are encoded, and what becomes of those that find no room.

Receipts are best effort: the oldest are dropped. An audit record that cannot be written is logged instead, without
the user's id and address. Both are counted. Writes: `noc.receipts` and `noc.audit`, keyed by tenant, and
`noc.revocations` for sessions that were signed out.
"""

import structlog

from contracts.audit import AuditRecord, audit_key, encode_audit
from contracts.receipts import ReceiptBatch, encode_receipts, receipt_headers
from contracts.topics import TopicNames, tenant_key
from gateway.access.revocation import RevocationRecord
from gateway.kafka.publisher import EncodedRecord, Outlet
from gateway.metrics import GatewayMetrics

# Logs hold nothing personal: the connection and the correlation id lead to the user.
_LOGGED = ("time", "action", "allowed", "reason", "tenant_id", "connection", "endpoint", "correlation_id", "count")

_log = structlog.get_logger(__name__)


class ReceiptsOutlet(Outlet[ReceiptBatch]):
    """Receipts that wait for a broker; with too many bytes the oldest are dropped.

    Args:
        bytes_max: of all values together; a single record always has room.
    """

    def __init__(self, names: TopicNames, bytes_max: int, metrics: GatewayMetrics) -> None:
        super().__init__("receipts", names.receipts, metrics.receipts)
        self._bytes_max = bytes_max

    def encode(self, record: ReceiptBatch) -> EncodedRecord:
        """The record's bytes, and a header by which readers find seen marks."""
        return EncodedRecord(tenant_key(record.tenant_id), encode_receipts(record), receipt_headers(record))

    def add(self, record: ReceiptBatch) -> None:
        """Queue a record; older ones make room for it."""
        self.append(record)
        while self.queued_bytes > self._bytes_max and len(self.queue) > 1:
            self.lost(self.pop(), "the queue is full")

    def lost(self, record: ReceiptBatch, why: str) -> None:  # noqa: ARG002 - only counted
        """A record will never be written."""
        self.counter.labels("dropped").inc()


class AuditOutlet(Outlet[AuditRecord]):
    """Audit records that wait for a broker; what has no room, or is not taken, is logged.

    Args:
        records_max: how many may wait.
    """

    def __init__(self, names: TopicNames, records_max: int, metrics: GatewayMetrics) -> None:
        super().__init__("audit", names.audit, metrics.audit)
        self._records_max = records_max

    def encode(self, record: AuditRecord) -> EncodedRecord:
        """The record's bytes."""
        return EncodedRecord(audit_key(record), encode_audit(record))

    def add(self, record: AuditRecord) -> None:
        """Queue a record; without room for it the log has it."""
        if len(self.queue) >= self._records_max:
            self.lost(record, "the queue is full")
        else:
            self.append(record)

    def lost(self, record: AuditRecord, why: str) -> None:
        """Log a record that will never be written."""
        self.counter.labels("log_only").inc()
        _log.warning("an audit record is only here", why=why, audit={name: getattr(record, name) for name in _LOGGED})


class RevocationsOutlet(Outlet[RevocationRecord]):
    """Revocations of signed-out sessions that wait for a broker.

    Args:
        names: of the topics.
        records_max: how many may wait.
        metrics: counts what was written and lost.
    """

    def __init__(self, names: TopicNames, records_max: int, metrics: GatewayMetrics) -> None:
        super().__init__("revocations", names.revocations, metrics.revocations_written)
        self._records_max = records_max

    def encode(self, record: RevocationRecord) -> EncodedRecord:
        """The record's bytes."""
        return EncodedRecord(record.key_bytes, record.value_bytes)

    def add(self, record: RevocationRecord) -> None:
        """Queue a record, as far as there is room."""
        if len(self.queue) >= self._records_max:
            self.lost(record, "the queue is full")
        else:
            self.append(record)

    def lost(self, record: RevocationRecord, why: str) -> None:  # noqa: ARG002 - a key names people
        """Log it: the session ended here, and not at other gateways."""
        self.counter.labels("lost").inc()
        _log.error("a sign-out counts at this gateway only: its revocation was not written", why=why)
