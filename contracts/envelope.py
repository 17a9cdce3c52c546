"""Change envelopes of the captured topics: Debezium's JSON to one typed `Change`.

This is the hot path of the worker: envelope and row are decoded in one msgspec pass by a decoder that is
built once a table; columns and fields that nobody reads are skipped, not built. Owns the order of changes.

**Order.** `Change.order`, the pair `(commit_lsn, lsn)`, sorts the changes of all tables by commit.
PostgreSQL decodes a transaction when it commits, so Debezium sees whole transactions in commit order;
`lsn` is where the row was written in the log, which for a transaction that started early and commits late
lies before rows of transactions that committed in between. Alone it is not an order of commits.
Debezium's `source.sequence` is `["<commit LSN of the transaction before this one>","<lsn>"]`: the first
number grows from one transaction to the next and is the same for all rows of one, and inside one
transaction the second follows the statements. Together they are the total order, and the same again when
a restarted connector repeats a record, so that `(order, table, id)` also recognises repeats.
Equal pairs are possible in two cases, and neither leaves a choice: rows of one COPY page are of one table
and stand in their topic in order; rows of a snapshot (`op` r) share one pair over all tables, and
`contracts.topics.CAPTURED_TABLES` names the tables in the order in which they refer to each other.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from contracts.rows import ROW_TYPES, AnyRow, Row

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
    """The old row; None for c and r, and for u where the table does not log old rows."""
    after: AnyRow | None
    """The new row; None for d."""
    commit_lsn: int
    """Commit LSN of the transaction before this one, 0 for the first: see the module's text on order."""
    lsn: int
    """Where the row's record stands in PostgreSQL's log."""
    commit_us: int
    """Commit time, microseconds since 1970 UTC, by PostgreSQL's clock; for r, when the snapshot read it."""
    snapshot: bool
    """Read by a snapshot: it teaches state and never alerts."""
    txid: int | None

    @property
    def order(self) -> tuple[int, int]:
        """Sorts the changes of all tables of one database by commit."""
        return (self.commit_lsn, self.lsn)

    @property
    def row(self) -> AnyRow:
        """The row as it is now, or as it last was when it is deleted."""
        row = self.before if self.after is None else self.after
        assert row is not None  # decode_change refuses an envelope without either
        return row


class _Source(msgspec.Struct, gc=False):
    ts_us: int
    sequence: str
    lsn: int
    snapshot: str = "false"
    txId: int | None = None  # noqa: N815 - Debezium's name


class _Heartbeat(msgspec.Struct, forbid_unknown_fields=True):
    ts_ms: int


_decode_heartbeat = msgspec.json.Decoder(_Heartbeat).decode


class ChangeDecoder:
    """Decodes the envelopes of every canonical table, with a customer's column names where they differ.

    Args:
        columns: for tables whose columns are named otherwise: canonical table name to
            {canonical column: the customer's column}. Columns that are not named keep their name.

    Raises:
        KeyError: `columns` names a table or a column that is not canonical.
    """

    def __init__(self, columns: Mapping[str, Mapping[str, str]] | None = None) -> None:
        renamed = dict(columns or {})
        self._decoders: dict[str, Callable[[bytes], Any]] = {
            table: _envelope_decoder(row_type, renamed.pop(table, {})) for table, row_type in ROW_TYPES.items()
        }
        if renamed:
            raise KeyError(next(iter(renamed)))

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
        envelope = decode(value)
        op = envelope.op
        source = envelope.source
        if source is None or op in _SKIPPED:
            if source is None:
                _decode_heartbeat(value)
            return None
        before = envelope.before
        after = envelope.after
        if (before if op == "d" else after) is None:
            raise msgspec.ValidationError(f"Object missing the row that operation `{op}` needs - at `$`")
        # '["35141432","35141560"]' or '[null,"35141560"]': two splits are a third of the cost of a JSON decoder.
        parts = source.sequence.split('"', 2)
        return Change(
            table,
            op,
            before,
            after,
            int(parts[1]) if parts[0] == "[" else 0,
            source.lsn,
            source.ts_us,
            op == "r",
            source.txId,
        )


def _renamed(row_type: type[AnyRow], columns: Mapping[str, str]) -> type[AnyRow]:
    """The same struct reading other column names, as a subclass: isinstance and attributes stay."""
    if not columns:
        return row_type
    fields = {field.name: field for field in msgspec.structs.fields(row_type)}
    for column in columns:
        fields[column]  # KeyError: not canonical
    theirs = dict(columns)
    if issubclass(row_type, Row) and theirs.get("tenant_id") == theirs.get("id", "id"):
        # Only Tenant: its key is its id, and one JSON field cannot fill two struct fields.
        theirs["tenant_id"] = ""
    definition: list[Any] = [
        (name, field.type) if field.required else (name, field.type, field.default) for name, field in fields.items()
    ]
    renamed: Any = msgspec.defstruct(
        row_type.__name__, definition, bases=(row_type,), rename=theirs, frozen=True, kw_only=True, gc=False
    )
    return renamed  # type: ignore[no-any-return]


def _envelope_decoder(row_type: type[AnyRow], columns: Mapping[str, str]) -> Callable[[bytes], Any]:
    row = _renamed(row_type, columns)
    envelope = msgspec.defstruct(
        f"{row_type.__name__}Envelope",
        [
            ("op", Literal["c", "u", "d", "r", "t", "m", ""], ""),
            ("before", row | None, None),
            ("after", row | None, None),
            ("source", _Source | None, None),
        ],
        gc=False,
    )
    # Lax: a customer's numeric columns come as strings, which a canonical number accepts.
    return msgspec.json.Decoder(envelope, strict=not columns).decode


_canonical = ChangeDecoder()


def decode_change(table: str, value: bytes | None) -> Change | None:
    """`ChangeDecoder.decode` with the canonical column names."""
    return _canonical.decode(table, value)
