"""Change envelopes of the captured topics: Debezium's JSON to one typed `Change`.

This is the hot path of the worker: envelope and row are decoded in one msgspec pass by a decoder that is built once for
each table; columns and fields that nobody reads are skipped, not built. Owns the order of changes.

**Order.** `Change.order`, the pair `(commit_lsn, lsn)`, sorts the changes of all tables by commit.
PostgreSQL decodes a transaction when it commits, so Debezium sees whole transactions in commit order. `lsn` is where the
row was written in the log: for a transaction that started early and committed late that is before rows of transactions
that committed in between, so by itself it is not the order of commits. Debezium's `source.sequence` is `["<end of the
commit before this transaction>","<lsn>"]`: the first number grows from one transaction to the next and is the same for
all rows of one, and within one transaction the second follows the statements. Together they are a total order, and the
same again when a restarted connector repeats a record.

The first number is null until a connector without a position has seen a commit: in a snapshot, and in the first
transaction after it. `lsn` replaces it there, which keeps the order: a snapshot's is the end of the log when it was
taken, and the rows of that transaction come after it and before their own commit.

Equal pairs are possible in three cases, and the order is clear in each: rows of one COPY page are of one table and in
order in their topic; rows of a snapshot share one pair over all tables, and `contracts.rows.ROW_TYPES` names the tables
in the order in which they refer to each other; an update that moves a row to another tenant is a delete in the one and a
create in the other, with one pair. So `(tenant, order, table, id)` identifies a repeat.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from contracts.rows import ROW_TYPES, AnyRow

Operation: TypeAlias = Literal["c", "u", "d", "r"]
"""create, update, delete, read by a snapshot."""

_SKIPPED: Final = frozenset({"t", "m"})
"""TRUNCATE and logical messages: neither is a change of a row."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One committed change of one row."""

    table: str
    """Canonical table name."""
    op: Operation
    before: AnyRow | None
    """The old row; None for c and r, and for u where the table does not log old rows or the old one is
    malformed (so that the update which repairs a row is not refused with it)."""
    after: AnyRow | None
    """The new row; None for d."""
    row: AnyRow
    """The row as it is now, or as it last was when it is deleted: a field, because every event reads it many times."""
    commit_lsn: int
    """End of the commit before this change's transaction: see the module's text on order."""
    lsn: int
    """Where the row's record stands in PostgreSQL's log."""
    commit_us: int
    """Commit time, microseconds since 1970 UTC, by PostgreSQL's clock; for r, when the snapshot read it."""
    snapshot: bool
    """Read by a snapshot: it updates the state and never alerts."""
    txid: int | None
    claimed_commit_us: int | None = None
    """What PostgreSQL said, where that is in the future; `commit_us` is the time at which Kafka stored the record then."""

    @property
    def order(self) -> tuple[int, int]:
        """Sorts the changes of all tables of one database by commit."""
        return (self.commit_lsn, self.lsn)


_LSN_MAX = 2**63 - 1
_COMMIT_US_MAX = 253_402_300_799_999_999
"""The last microsecond of the year 9999, beyond which no time can be written."""

_Lsn = Annotated[int, msgspec.Meta(ge=0, le=_LSN_MAX)]


class _Source(msgspec.Struct, gc=False, rename={"txid": "txId"}):
    ts_us: Annotated[int, msgspec.Meta(ge=0, le=_COMMIT_US_MAX)]
    sequence: str
    lsn: _Lsn
    txid: _Lsn | None = None


class _Heartbeat(msgspec.Struct, forbid_unknown_fields=True):
    ts_ms: int


_SEQUENCE_PARTS = 3
_LSN_DIGITS_MAX = 19

_decode_heartbeat = msgspec.json.Decoder(_Heartbeat).decode


class ChangeDecoder:
    """Decodes the envelopes of every canonical table, with a customer's column names where they differ.

    Args:
        columns: for tables whose columns are named otherwise: canonical table name to
            {canonical column: the customer's column}. Columns that are not named keep their name. Rows of
            such a table are of a subclass: tell rows apart by `isinstance` or `Change.table`.

    Raises:
        KeyError: `columns` names a table or a column that is not canonical.
    """

    def __init__(self, columns: Mapping[str, Mapping[str, str]] | None = None) -> None:
        columns = columns or {}
        for table in columns:
            ROW_TYPES[table]  # KeyError: not canonical
        rows = {table: _renamed(row_type, columns.get(table, {})) for table, row_type in ROW_TYPES.items()}
        self._decoders = {table: _envelope_decoder(row, row) for table, row in rows.items()}
        self._without_before = {table: _envelope_decoder(msgspec.Raw, row) for table, row in rows.items()}

    def decode(self, table: str, value: bytes | None) -> Change | None:
        """The change that a record's value describes; None where it describes none.

        None are tombstones, TRUNCATE, logical messages and heartbeats.

        Args:
            table: canonical table name; it is that of the topic, whatever the customer's table is named.
            value: the record's value, Debezium's JSON without schema.

        Raises:
            msgspec.ValidationError: a field is missing or of the wrong type.
            msgspec.DecodeError: the value is not JSON.
            KeyError: the table is not canonical.
        """
        decode = self._decoders[table]
        if value is None:
            return None
        try:
            envelope = decode(value)
        except msgspec.ValidationError:
            envelope = self._without_before[table](value)
            if envelope.op != "u":
                raise
            envelope.before = None
        op = envelope.op
        source = envelope.source
        if source is None:
            _decode_heartbeat(value)
            return None
        if op in _SKIPPED:
            return None
        before = envelope.before
        after = envelope.after
        row = before if op == "d" else after
        if row is None:
            raise msgspec.ValidationError(f"Object missing the row that operation `{op}` needs - at `$`")
        lsn = source.lsn
        # '["35141432","35141560"]' or '[null,"35141560"]': splitting costs a third of a JSON decoder.
        parts = source.sequence.split('"', 2)
        commit_lsn = _lsn(parts) if parts[0] == "[" else lsn
        return Change(table, op, before, after, row, commit_lsn, lsn, source.ts_us, op == "r", source.txid)


def _lsn(parts: list[str]) -> int:
    if len(parts) == _SEQUENCE_PARTS and parts[1].isdecimal() and len(parts[1]) <= _LSN_DIGITS_MAX:
        lsn = int(parts[1])
        if lsn <= _LSN_MAX:
            return lsn
    raise msgspec.ValidationError("Invalid log position - at `$.source.sequence`")


def _renamed(row_type: type[AnyRow], columns: Mapping[str, str]) -> type[AnyRow]:
    """The same struct with other column names, as a subclass: `isinstance` and the attributes stay."""
    if not columns:
        return row_type
    fields = {field.name: field for field in msgspec.structs.fields(row_type)}
    for column in columns:
        fields[column]  # KeyError: not canonical
    theirs = dict(columns)
    if theirs.get("tenant_id") == theirs.get("id", "id"):
        # Only Tenant, whose key is its id: one JSON field cannot fill two of a struct.
        theirs["tenant_id"] = ""
    definition: list[Any] = [
        (name, field.type) if field.required else (name, field.type, field.default) for name, field in fields.items()
    ]
    renamed: Any = msgspec.defstruct(
        row_type.__name__, definition, bases=(row_type,), rename=theirs, frozen=True, kw_only=True, gc=False
    )
    return renamed  # type: ignore[no-any-return]


def _envelope_decoder(before: Any, after: Any) -> Callable[[bytes], Any]:
    """One decoder for an envelope and its rows together; fields that it does not name are skipped, not built."""
    envelope = msgspec.defstruct(
        "Envelope",
        [
            ("op", Literal["c", "u", "d", "r", "t", "m", ""], ""),
            ("before", before if before is msgspec.Raw else before | None, None),
            ("after", after | None, None),
            ("source", _Source | None, None),
        ],
        gc=False,
    )
    return msgspec.json.Decoder(envelope).decode
