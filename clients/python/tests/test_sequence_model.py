"""A reader against a model of the gateway: whatever is cut, repeated, filtered or trimmed, each message once or a gap."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from watchfloor_client.events import Event, Gap, Message, Resumed
from watchfloor_client.sequence import Position, SequenceTracker

SITES = (1, 2, 3)
Name = tuple[str, int, int]
"""Epoch, seq and part: what a message is known by."""


@dataclass
class Log:
    """One epoch of a tenant's feed."""

    epoch: str
    records: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Site and number of messages by seq; a number that is missing is a hole."""
    end: int = 0
    start: int = 1
    """The first seq that can still be read."""


class Gateway:
    """Says what contract v1 promises to one client that shows some sites."""

    def __init__(self, sites: frozenset[int]) -> None:
        self.log = Log("e1")
        self.logs = [self.log]
        self.sites = sites
        self.wire: list[dict[str, Any]] = []
        """Written, not arrived yet."""
        self.connected = False
        self._previous = 0

    def visible(self, log: Log, seq: int) -> range:
        site, parts = log.records.get(seq, (0, 0))
        return range(parts if site in self.sites else 0)

    def accept(self, resume: Position | None) -> None:
        log, self.connected = self.log, True
        self.wire = [{"type": "connection_established", "tenant_id": 1, "epoch": log.epoch, "seq": log.end}]
        self._previous = log.end
        if resume is None:
            return
        first, reason = resume.seq + 1, None
        if resume.epoch != log.epoch:
            reason = "epoch_changed"
        elif first > log.end + 1:
            reason = "unknown_position"
        elif first < log.start:
            reason = "too_old"
        known = reason != "epoch_changed"
        self.wire.append(
            {
                "type": "resumed",
                "recovered": reason is None,
                "reason": reason,
                "from": first if known else None,
                "to": log.end if known else None,
            }
        )
        if reason is None:
            self._previous = resume.seq
            for seq in range(first, log.end + 1):
                self._send(seq)

    def write(self, site: int, parts: int) -> None:
        self.log.end += 1
        self.log.records[self.log.end] = (site, parts)
        if self.connected:
            self._send(self.log.end)

    def lose(self, count: int) -> None:
        """The log has a hole."""
        self.log.end += count
        if self.connected:
            for seq in range(self.log.end - count + 1, self.log.end + 1):
                self._send(seq)

    def beat(self) -> None:
        if self.connected:
            self.wire.append({"type": "heartbeat", "seq": self.log.end})

    def trim(self) -> None:
        self.log.start = self.log.end + 1

    def recreate(self) -> None:
        """Another log; everybody is sent away."""
        self.log = Log(f"e{len(self.logs) + 1}")
        self.logs.append(self.log)
        self.cut()

    def cut(self) -> None:
        self.connected, self.wire = False, []

    def _send(self, seq: int) -> None:
        if seq not in self.log.records:
            self.wire.append({"type": "gap", "from": seq, "to": seq, "reason": "log_hole"})
            self._previous = seq
            return
        parts = self.visible(self.log, seq)
        for index in parts:
            part = {"index": index, "of": len(parts)}
            self.wire.append({"type": "anomaly_detected", "seq": seq, "part": part, "prev_seq": self._previous})
        if parts:
            self._previous = seq


class Reader:
    """A program with a tracker; it may be started again with the position that it stored."""

    def __init__(self) -> None:
        self.tracker = SequenceTracker()
        self.shown: list[Name] = []
        self.missing: set[tuple[str, int]] = set()
        self.arrived: list[dict[str, Any]] = []
        self.started: int | None = None

    def take(self, gateway: Gateway, count: int) -> None:
        for _ in range(min(count, len(gateway.wire))):
            frame = gateway.wire.pop(0)
            self.arrived.append(frame)
            self.hear(frame, gateway)

    def hear(self, frame: dict[str, Any], gateway: Gateway) -> None:
        before = self.tracker.position
        if frame["type"] == "connection_established" and self.started is None:
            self.started = frame["seq"]
        for event in self.tracker.receive(frame):
            self._note(event, before, gateway)

    def start_again(self) -> None:
        self.tracker = SequenceTracker(self.tracker.position)

    def _note(self, event: Event, before: Position | None, gateway: Gateway) -> None:
        epoch = self.tracker.epoch
        assert epoch is not None
        match event:
            case Message(_, body):
                self.shown.append((epoch, body["seq"], body["part"]["index"]))
            case Gap(None, _, reason):
                assert reason == "epoch_changed"
                assert before is not None
                # Behind the position in the old log, all logs between, and the new one up to where we stand.
                names = [log.epoch for log in gateway.logs]
                for log in gateway.logs[names.index(before.epoch) : names.index(epoch) + 1]:
                    first = before.seq + 1 if log.epoch == before.epoch else 1
                    last = self.tracker.seq if log.epoch == epoch else log.end
                    self.missing |= {(log.epoch, seq) for seq in range(first, last + 1)}
            case Gap(first, last, reason):
                # This network loses nothing but the end of a connection.
                assert reason != "lost"
                assert first is not None
                assert last is not None
                self.missing |= {(epoch, seq) for seq in range(first, last + 1)}
            case Resumed():
                assert event.missed >= 0
            case _:
                pass


WRITES = st.tuples(st.just("write"), st.sampled_from(SITES), st.integers(1, 3))
ARRIVES = st.tuples(st.just("arrive"), st.integers(1, 6))
ACTIONS = st.lists(
    st.one_of(
        WRITES,
        WRITES,
        ARRIVES,
        ARRIVES,
        st.tuples(st.just("repeat"), st.integers(0, 50)),
        st.tuples(st.sampled_from(["beat", "cut", "open", "open", "start again"])),
        st.tuples(st.sampled_from(["beat", "open", "trim", "recreate", "lose"])),
    ),
    min_size=30,
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(actions=ACTIONS, sites=st.frozensets(st.sampled_from(SITES), min_size=1))
def test_each_message_is_shown_once_in_order_or_lies_in_a_gap(
    actions: list[tuple[Any, ...]], sites: frozenset[int]
) -> None:
    gateway, reader = Gateway(sites), Reader()
    for action in [("open",), *actions, ("cut",), ("open",), ("arrive", 10_000)]:
        act(gateway, reader, *action)

    assert len(set(reader.shown)) == len(reader.shown)
    order = [(int(epoch[1:]), seq, part) for epoch, seq, part in reader.shown]
    assert order == sorted(order)
    assert reader.started is not None
    first = next(log for log in gateway.logs if log.epoch == epoch_of_start(reader, gateway))
    for log in gateway.logs[gateway.logs.index(first) :]:
        for seq in range(reader.started + 1 if log is first else 1, log.end + 1):
            parts = {(log.epoch, seq, index) for index in gateway.visible(log, seq)}
            assert parts <= set(reader.shown) or (log.epoch, seq) in reader.missing, (log.epoch, seq)


def epoch_of_start(reader: Reader, gateway: Gateway) -> str:
    established = (frame for frame in reader.arrived if frame["type"] == "connection_established")
    return str(next(established)["epoch"])


def act(gateway: Gateway, reader: Reader, what: str, *values: int) -> None:
    match what, values:
        case "write", (site, parts):
            gateway.write(site, parts)
        case "arrive", (count,):
            reader.take(gateway, count)
        case "repeat", (place,):
            # Of this connection; its first two messages are answers, which a gateway gives once.
            begin = max(
                (i for i, frame in enumerate(reader.arrived) if frame["type"] == "connection_established"), default=0
            )
            again = [
                frame for frame in reader.arrived[begin:] if frame["type"] in ("anomaly_detected", "gap", "heartbeat")
            ]
            if again and gateway.connected:
                reader.hear(again[place % len(again)], gateway)
        case "open", ():
            gateway.cut()
            gateway.accept(reader.tracker.opened())
        case "start again", ():
            reader.start_again()
            gateway.cut()
        case "lose", ():
            gateway.lose(2)
        case _:
            getattr(gateway, what)()
