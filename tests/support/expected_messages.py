"""What a client must have got, worked out from the log itself: shares no code with the gateway.

Written from docs/protocol.md. A `Transcript` takes what a connection was asked and what it heard, and says what is
wrong with it: somebody else's message, one that the token or the filters do not allow, personal data without
noc:view_pii, a message too few, twice, or out of order.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]
STREAM = "anomaly-stream"
_PERSONAL = ("phone", "mobile", "mobno", "email", "address", "peoplename", "person_name")
_SEQUENCED = ("anomaly_detected", "ticket_updated", "rate_limited")


@dataclass(frozen=True)
class View:
    """What a connection may see and has asked for."""

    tenant: int
    capabilities: frozenset[str]
    clients: frozenset[int] | None = None
    sites: frozenset[int] | None = None
    wanted_clients: frozenset[int] = frozenset()
    wanted_sites: frozenset[int] = frozenset()

    @property
    def reads_names(self) -> bool:
        """Whether personal data is shown."""
        return "noc:view_pii" in self.capabilities

    def allows(self, client: int | None, site: int | None) -> bool:
        """Whether the token shows messages of this client and site."""
        if "noc:view_all_clients" in self.capabilities:
            of_client = True
        elif self.clients is None:
            of_client = self.sites is not None
        else:
            of_client = client in self.clients
        return of_client and (self.sites is None or site in self.sites)

    def shows(self, record: Json) -> bool:
        """Whether a record of the tenant's log is for this connection."""
        return record["type"] == "rate_limited" or self.shows_place(record.get("client_id"), record.get("site_id"))

    def shows_place(self, client: int | None, site: int | None) -> bool:
        """Whether messages of this client and site are for this connection."""
        if not self.allows(client, site):
            return False
        asked = bool(self.wanted_clients or self.wanted_sites)
        return not asked or client in self.wanted_clients or site in self.wanted_sites

    def asking(self, message: Json) -> "View":
        """The view after `subscribe_client`, `subscribe_site` or `unsubscribe`."""
        match message["type"]:
            case "subscribe_client":
                return replace(self, wanted_clients=self.wanted_clients | {message["client_id"]})
            case "subscribe_site":
                return replace(self, wanted_sites=self.wanted_sites | {message["site_id"]})
        return replace(self, wanted_clients=frozenset(), wanted_sites=frozenset())


def wrong_with(message: Json, record: Json, view: View, endpoint: str) -> Iterator[str]:
    """How a message of the feed differs from what its record says to this viewer."""
    if message["type"] != record["type"]:
        yield f"is a {message['type']} and not a {record['type']}"
        return
    findings = record.get("findings", ())
    if message["type"] == "anomaly_detected":
        if endpoint == STREAM:
            if [each["id"] for each in message["findings"]] != [each["id"] for each in findings]:
                yield "has other findings"
        elif message["anomaly_id"] != findings[message["part"]["index"]]["id"]:
            yield "is another finding"
    if message["type"] != "rate_limited":
        for name in ("client_id", "site_id"):
            if message[name] != record.get(name):
                yield f"has another {name}"
    yield from _names(message, record, view, endpoint)


def _names(message: Json, record: Json, view: View, endpoint: str) -> Iterator[str]:
    words = json.dumps(message, ensure_ascii=False)
    personal = [(record.get("person_name"), "person_name" in message)]
    for finding in record.get("findings", ()):
        shown = endpoint == STREAM
        personal += [(value, shown) for name, value in finding["evidence"].items() if name in _PERSONAL]
    for value, shown in personal:
        if value is None:
            continue
        if view.reads_names and shown and value not in words:
            yield "lacks personal data that the viewer may read"
        if not view.reads_names and value in words:
            yield "shows personal data"


@dataclass
class _Segment:
    """A stretch of a connection with one view."""

    view: View
    starts: set[int]
    """The seqs after which it may have begun."""
    seqs: list[int] = field(default_factory=list)


class Transcript:
    """Judges one connection, message by message.

    Args:
        view: that it signs in with.
        endpoint: `dashboard` or `anomaly-stream`.
        log: the tenant's records by seq, as they come to be; the whole log, in order, from 1 on.
        resuming: the position that was named at sign-in, if any: then nothing may come before `resumed`.
    """

    def __init__(self, view: View, endpoint: str, log: Mapping[int, Json], *, resuming: int | None = None) -> None:
        self._endpoint = endpoint
        self._log = log
        self._held = resuming is not None
        self._named = {None: resuming}
        """Positions that were named, by request."""
        self._unanswered: Any = None
        """The last request that named one, as long as it has no answer: until then nothing of the feed comes."""
        self._segment = _Segment(view, set())
        self._asked: dict[Any, View] = {}
        self._part = (0, 0)
        self.established = False
        self.faults: list[str] = []

    @property
    def view(self) -> View:
        """As of the last answer."""
        return self._segment.view

    @property
    def last(self) -> int:
        """The seq from which this client would resume: the last one that it has had whole."""
        if self._segment.seqs:
            seq = self._segment.seqs[-1]
            return seq if self._part[0] == self._part[1] else seq - 1
        return max(self._segment.starts, default=0)

    def asks(self, request_id: Any, view: View, position: int | None = None) -> None:
        """A request was sent that changes the view or goes back to a position, if it is granted."""
        self._asked[request_id] = view
        self._named[request_id] = position
        if position is not None:
            self._unanswered = request_id

    def hears(self, message: Json) -> None:
        """A message came."""
        kind = message["type"]
        if kind == "connection_established":
            self._established(message)
        elif not self.established:
            if kind != "error":
                self._fault(f"{kind} before sign-in")
        elif kind in _SEQUENCED:
            self._record(message)
        else:
            self._other(kind, message)

    def ends(self, last: int | None = None) -> list[str]:
        """The connection is over; all faults.

        Args:
            last: where it stayed to the end of the log: that end. It has to have got everything up to it.
        """
        if last is not None and self.established:
            if self._held:
                self._fault("the resume was never answered")
            self._end_at(last)
        elif self.established:
            self._ends()
        if self._part[0] != self._part[1] and last is not None:
            self._fault("the last record came in part")
        return self.faults

    def _other(self, kind: str, message: Json) -> None:
        match kind:
            case "subscribed":
                if self._unanswered is None:
                    self._end_at(message["seq"])
                else:
                    self._ends()  # it begins where the client said that it stands
                self._segment = _Segment(self._asked[message["request_id"]], {message["seq"]})
            case "refreshed":
                self._segment = _Segment(self._asked[message["request_id"]], self._ends())
            case "resumed":
                self._resumed(message)
            case "heartbeat":
                self._heartbeat(message)
            case "message_seen" | "critical_unseen":
                self._of_critical(message)

    def _established(self, message: Json) -> None:
        if self.established:
            self._fault("a second connection_established")
        self.established = True
        if message["tenant_id"] != self.view.tenant:
            self._fault(f"signed in as tenant {message['tenant_id']}")
        self._segment.starts = {message["seq"]}

    def _record(self, message: Json) -> None:
        seq, segment = message["seq"], self._segment
        if self._held:
            self._fault(f"{seq} came before the resume was answered")
        record = self._log.get(seq)
        if record is None:
            self._fault(f"{seq} is not in the tenant's log")
            return
        if not segment.view.shows(record):
            self._fault(f"{seq} is not for this viewer: {segment.view}")
        for wrong in wrong_with(message, record, segment.view, self._endpoint):
            self._fault(f"{seq} {wrong}")
        part = message.get("part", {"index": 0, "of": 1})
        of = len(record["findings"]) if self._endpoint != STREAM and "findings" in record else 1
        if part["of"] != of:
            self._fault(f"{seq} is said to have {part['of']} parts")
        if part["index"]:
            if segment.seqs[-1:] != [seq] or self._part != (part["index"], of):
                self._fault(f"part {part['index']} of {seq} comes out of order")
        else:
            self._next(message["prev_seq"], seq)
        self._part = (part["index"] + 1, of)

    def _next(self, previous: int, seq: int) -> None:
        segment = self._segment
        if self._part[0] != self._part[1]:
            self._fault(f"{seq} comes amidst another record")
        if segment.seqs:
            if previous != segment.seqs[-1]:
                self._fault(f"prev_seq of {seq} is {previous} and not {segment.seqs[-1]}")
        elif previous in segment.starts:
            segment.starts = {previous}
        else:
            self._fault(f"prev_seq of {seq} is {previous}, and it began after {sorted(segment.starts)[:5]}")
        if seq <= (segment.seqs or [previous])[-1]:
            self._fault(f"{seq} again")
        segment.seqs.append(seq)

    def _resumed(self, message: Json) -> None:
        self._ends()
        self._held = False
        if message.get("request_id") == self._unanswered:
            self._unanswered = None
        named = self._named.get(message.get("request_id"))
        if message["from"] not in (None, None if named is None else named + 1):
            self._fault(f"resumed from {message['from']} and not after {named}")
        if message["recovered"]:
            starts = {message["from"] - 1}
        elif message["to"] is not None:
            starts = {message["to"]}
        else:
            starts = set(range(max(self._log, default=0) + 1))
        self._segment = _Segment(self.view, starts)

    def _heartbeat(self, message: Json) -> None:
        if (seq := message.get("seq")) is None:
            return
        fitting = {start for start in self._segment.starts if self._missing(start, seq) == []}
        if not fitting:
            self._fault(f"the heartbeat says that all up to {seq} was sent")
        self._segment.starts = fitting or self._segment.starts

    def _of_critical(self, message: Json) -> None:
        record = self._log.get(message["seq"])
        ids = [finding["id"] for finding in record.get("findings", ())] if record else []
        if record is None or message["id"] not in ids:
            self._fault(f"{message['type']} of {message['id']}, which is not in the tenant's log")
        elif not self.view.allows(record.get("client_id"), record.get("site_id")):
            self._fault(f"{message['type']} of {message['id']} is not for this viewer")

    def _missing(self, start: int, end: int) -> list[int]:
        had = set(self._segment.seqs)
        return [seq for seq in self._shown(start, end) if seq not in had]

    def _shown(self, start: int, end: int) -> list[int]:
        return [seq for seq in range(start + 1, end + 1) if seq in self._log and self.view.shows(self._log[seq])]

    def _ends(self) -> set[int]:
        """Where this segment may have ended; a fault where there is no such place."""
        segment, found = self._segment, set()
        for start in segment.starts:
            top = max(start, *self._log) if self._log else start  # a position that was named may be ahead of the log
            for end in range(segment.seqs[-1] if segment.seqs else start, top + 1):
                shown = self._shown(start, end)
                if shown == segment.seqs:
                    found.add(end)
                elif len(shown) > len(segment.seqs):
                    break
        if not found and not self._held:
            self._fault(f"from {sorted(segment.starts)[:5]} on came {segment.seqs}, which is not all up to any place")
        return found

    def _end_at(self, end: int) -> None:
        wanted: Sequence[list[int]] = [self._shown(start, end) for start in self._segment.starts if start <= end]
        if self._segment.seqs not in wanted and not self._held:
            self._fault(f"up to {end} came {self._segment.seqs} and not {wanted[:2]}")

    def _fault(self, text: str) -> None:
        self.faults.append(text)
