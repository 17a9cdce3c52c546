"""What a gateway writes down of deliveries: all that was written, once, and nothing that is nobody's business.

Also of gateway/delivery/delivery_writer.py and gateway/delivery/seen_findings.py.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import NOW, anomaly, ticket
from support.hub_world import FakeSink, World

from common.settings.gateway import CriticalSettings
from contracts.messages import CriticalUnseen, MessageSeen, NoticeMessage
from contracts.receipts import Reach, ReceiptBatch, RecipientCounts, SeenMark
from gateway.access.known_names import KnownNames
from gateway.access.scope import Scope
from gateway.delivery.receipts import Receipts, Recipient
from gateway.delivery.seen_findings import SeenFindings
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.feed.history import History
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, Variant
from gateway.feed.subscriber import Subscriber
from gateway.metrics import GatewayMetrics


class KeptNotices(Hub):
    """A hub that keeps the notices, and where a test says how far everybody has come."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(lambda payload: payload, History(10, 10_000, 10_000), GatewayMetrics(), now, KnownNames(10))
        self.start_log("first")
        self.seq = 0
        self.notices: list[tuple[int | None, NoticeMessage]] = []

    def reached(self, _subscriber: Subscriber) -> int:
        return self.seq

    def notify(
        self, tenant_id: int | None, message: NoticeMessage, shows: Callable[[Scope], bool] | None = None
    ) -> None:
        assert shows is not None
        self.notices.append((tenant_id, message))


class Desk:
    """Receipts with a clock and a hub that a test moves."""

    def __init__(self, ranges_max: int = 100, ids_max: int = 100) -> None:
        self.now = NOW
        self.published: list[ReceiptBatch] = []
        self.metrics = GatewayMetrics()
        self.world = World()
        self.hub = KeptNotices(lambda: self.now)
        unseen = UnseenCritical(CriticalSettings(unseen_s=60, notices_max=3, messages_max=100, seen_by_max=10))
        self.findings = SeenFindings(self.hub, unseen, self.metrics, ids_max)
        self.receipts = Receipts(
            "here",
            self.hub,
            self.findings,
            self.published.append,
            self.metrics,
            ranges_max=ranges_max,
            positions_interval_s=3,
        )

    @property
    def notices(self) -> list[tuple[int | None, NoticeMessage]]:
        return self.hub.notices

    def recipient(self, tenant: int = 1, scope: Scope | None = None, user: str = "ops") -> Recipient:
        variant = Variant(Endpoint.DASHBOARD, masked=False)
        who = Recipient(Subscriber(tenant, variant, scope or Scope(), FakeSink(), user), f"of {user}")
        self.receipts.joined(who)
        return who

    def show(self, tenant: int, seq: int, **more: object) -> list[str]:
        """Publish a record with a HIGH and a CRITICAL finding; returns their ids."""
        record = anomaly(tenant, seq, 2, **more)
        self.receipts.published([self.world.entry(record)])
        return [finding.id for finding in record.findings]

    def records(self, *, positions: bool = False) -> list[ReceiptBatch]:
        for _ in range(3 if positions else 0):
            self.receipts.note_positions()
        found = [*self.published, *self.receipts.flush()]
        self.published.clear()
        return found

    def ignored(self) -> float:
        return self.metrics.seen.labels("ignored")._value.get()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_writes_become_one_record_a_tenant(desk: Desk) -> None:
    desk.receipts.written(1, 1, 10, 500)
    desk.receipts.written(1, 1, 10, 300)
    desk.receipts.written_one(1, 4)
    desk.receipts.written(2, 7, 7, 1)
    desk.receipts.written(3, 1, 5, 0)
    records = {record.tenant_id: record for record in desk.records()}
    assert records.keys() == {1, 2}
    assert [(run.first, run.last, run.recipients) for run in records[1].runs] == [
        (1, 3, 800),
        (4, 4, 801),
        (5, 10, 800),
    ]
    assert (records[1].gateway, records[1].epoch, records[1].at[:4]) == ("here", "first", "2025")
    assert desk.records() == []


writes = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(0, 10), st.integers(0, 4), st.booleans()), max_size=60
)


@given(writes, st.integers(2, 20))
def test_however_little_room_there_is_each_write_counts_once(
    script: list[tuple[int, int, int, int, bool]], room: int
) -> None:
    desk, counts = Desk(ranges_max=room), RecipientCounts()
    expected: Counter[tuple[int, int]] = Counter()
    for tenant, first, length, recipients, single in script:
        if single:
            desk.receipts.written_one(tenant, first)
            expected[tenant, first] += 1
        else:
            desk.receipts.written(tenant, first, first + length, recipients)
            for seq in range(first, first + length + 1):
                expected[tenant, seq] += recipients
        for pending in desk.receipts._pending.values():
            assert max(len(pending.runs), len(pending.singles)) <= room + 1
    for record in desk.records():
        counts.take(record)
    assert {key: counts.of("first", *key) for key in expected} == dict(expected)


def test_received_is_cumulative_and_never_more_than_was_written(desk: Desk) -> None:
    who = desk.recipient()
    desk.hub.seq = 7
    desk.receipts.received(who, 5)
    desk.receipts.received(who, 3)
    expected = Reach(user="ops", connection="of ops", endpoint="dashboard", written=7, received=5)
    assert [record.connections for record in desk.records()] == [[expected]]
    assert desk.records() == []
    desk.receipts.received(who, 999)
    assert desk.records()[0].connections[0].received == 7


def test_connections_that_say_nothing_are_told_of_now_and_then_and_when_they_leave(desk: Desk) -> None:
    who = desk.recipient()
    desk.hub.seq = 3
    assert desk.records() == []
    assert [reach.written for record in desk.records(positions=True) for reach in record.connections] == [3]
    assert desk.records(positions=True) == []
    desk.hub.seq = 9
    desk.receipts.left(who)
    desk.receipts.left(who)
    desk.receipts.received(who, 1)
    reaches = [reach for record in desk.records() for reach in record.connections]
    assert [(reach.written, reach.left) for reach in reaches] == [(9, True)]


def test_going_back_to_a_position_takes_nothing_back(desk: Desk) -> None:
    who = desk.recipient()
    desk.hub.seq = 9
    desk.receipts.received(who, 9)
    desk.hub.seq = 4
    desk.receipts.received(who, 4)
    assert [(r.written, r.received) for record in desk.records() for r in record.connections] == [(9, 9)]


def test_many_connections_are_several_records_and_the_runs_count_once(desk: Desk) -> None:
    desk = Desk(ranges_max=5_000)
    desk.hub.seq = 1
    for number in range(2_500):
        desk.recipient(user=f"u{number}")
    desk.receipts.written(1, 1, 1, 2_500)
    records = desk.records(positions=True)
    assert [len(record.connections) for record in records] == [200] * 12 + [100]
    assert [len(record.runs) for record in records] == [1] + [0] * 12


def test_seen_is_written_down_once_and_everybody_hears_of_a_critical_one(desk: Desk) -> None:
    high, critical = desk.show(1, 1)
    who = desk.recipient()
    desk.receipts.seen(who, [high, critical, critical], NOW, may_act=True)
    desk.receipts.seen(who, [critical], NOW + 1, may_act=True)
    assert [(mark.user, mark.id) for record in desk.records() for mark in record.seen] == [
        ("ops", high),
        ("ops", critical),
    ]
    ((tenant, notice),) = desk.notices
    assert isinstance(notice, MessageSeen)
    assert (notice.id, notice.seq, tenant) == (critical, 1, 1)


@pytest.mark.parametrize(
    "scope", [Scope(sites=frozenset({99})), Scope(clients=frozenset({99})), Scope(clients=frozenset(), sites=None)]
)
def test_what_the_token_does_not_show_cannot_be_marked(desk: Desk, scope: Scope) -> None:
    _, critical = desk.show(1, 1)
    desk.receipts.seen(desk.recipient(scope=scope), [critical], NOW, may_act=True)
    assert (desk.records(), desk.notices, desk.ignored()) == ([], [], 1)


def test_another_tenant_s_and_unknown_ids_cannot_be_marked(desk: Desk) -> None:
    _, critical = desk.show(1, 1)
    desk.receipts.seen(desk.recipient(tenant=2), [critical, "nothing"], NOW, may_act=True)
    assert (desk.records(), desk.notices, desk.ignored()) == ([], [], 2)


def test_the_same_id_at_two_tenants_is_two_findings(desk: Desk) -> None:
    ids = desk.show(1, 1)
    assert desk.show(2, 1, site_id=77) == ids
    for tenant in (1, 2):
        desk.receipts.seen(desk.recipient(tenant), [ids[1]], NOW, may_act=True)
    assert sorted(tenant for tenant, _ in desk.notices if tenant) == [1, 2]
    assert sorted(record.tenant_id for record in desk.records()) == [1, 2]


def test_connections_are_looked_at_a_part_a_second(desk: Desk) -> None:
    desk.hub.seq = 1
    for number in range(30):
        desk.recipient(user=f"u{number}")
    desk.receipts.note_positions()
    assert sum(len(record.connections) for record in desk.records()) == 10
    desk.receipts.note_positions(everybody=True)
    assert sum(len(record.connections) for record in desk.records()) == 20


def test_a_filter_does_not_keep_somebody_from_marking_what_the_token_shows(desk: Desk) -> None:
    _, critical = desk.show(1, 1)
    desk.receipts.seen(desk.recipient(scope=Scope(wanted_sites=frozenset({99}))), [critical], NOW, may_act=True)
    assert len(desk.notices) == 1


def test_only_the_newest_ids_are_known() -> None:
    desk = Desk(ids_max=4)
    first = desk.show(1, 1)
    for seq in (2, 3):
        desk.show(1, seq)
    desk.receipts.seen(desk.recipient(), first, NOW, may_act=True)
    assert (desk.records(), desk.ignored()) == ([], 2)


def test_nobody_has_looked_is_told_after_a_minute_with_the_recipients(desk: Desk) -> None:
    desk.receipts.written(1, 1, 1, 7)
    _, critical = desk.show(1, 1)
    desk.records()
    desk.findings.notify_unseen(NOW + 59)
    assert desk.notices == []
    desk.findings.notify_unseen(NOW + 60)
    ((_, notice),) = desk.notices
    assert isinstance(notice, CriticalUnseen)
    assert (notice.id, notice.recipients) == (critical, 7)


def test_who_can_only_look_does_not_end_the_notices_of_the_others(desk: Desk) -> None:
    _, critical = desk.show(1, 1)
    desk.receipts.seen(desk.recipient(), [critical], NOW, may_act=False)
    desk.findings.take_marks(marks_of(1, critical, "a program", may_act=False))
    assert desk.notices == []
    desk.findings.notify_unseen(NOW + 60)
    ((_, notice),) = desk.notices
    assert isinstance(notice, CriticalUnseen)
    desk.receipts.seen(desk.recipient(), [critical], NOW + 61, may_act=True)
    assert isinstance(desk.notices[-1][1], MessageSeen)
    assert [mark.may_act for record in desk.records() for mark in record.seen] == [True]


def test_marks_that_end_no_notice_take_no_room_from_those_that_do(desk: Desk) -> None:
    critical = anomaly(1, 1, 2).findings[1].id
    for number in range(50):
        desk.findings.take_marks(marks_of(1, critical, f"program {number}", may_act=False))
    desk.findings.take_marks(marks_of(1, critical))
    desk.show(1, 1)
    assert isinstance(desk.notices[0][1], MessageSeen)


def marks_of(tenant: int, identifier: str, user: str = "other", *, may_act: bool = True) -> ReceiptBatch:
    mark = SeenMark(user=user, id=identifier, at="2026-01-01T00:00:00Z", may_act=may_act)
    return ReceiptBatch(tenant_id=tenant, gateway="there", at=mark.at, epoch="first", seen=[mark])


@pytest.mark.parametrize("mark_first", [True, False])
def test_what_is_seen_at_another_gateway_is_seen_here(desk: Desk, mark_first: bool) -> None:
    critical = anomaly(1, 1, 2).findings[1].id
    if mark_first:
        desk.findings.take_marks(marks_of(1, critical))
        desk.findings.take_marks(marks_of(2, critical, "a liar"))
    desk.show(1, 1)
    if not mark_first:
        desk.findings.take_marks(marks_of(1, critical))
        desk.findings.take_marks(marks_of(2, critical, "a liar"))
    ((_, notice),) = desk.notices
    assert isinstance(notice, MessageSeen)
    assert [seen.user for seen in notice.seen_by] == ["other"]
    desk.findings.notify_unseen(NOW + 600)
    assert len(desk.notices) == 1
    assert desk.records() == []  # the other gateway has written it down


def test_what_was_read_back_is_watched_from_when_it_was_written(desk: Desk) -> None:
    record = anomaly(1, 1, 2)
    desk.now = NOW + 70
    desk.receipts.remembered([desk.world.entry(record)])
    desk.findings.notify_unseen(NOW + 119)
    assert desk.notices == []
    desk.findings.notify_unseen(NOW + 120)
    assert len(desk.notices) == 1
    desk.receipts.seen(desk.recipient(), [record.findings[1].id], NOW + 121, may_act=True)
    assert len(desk.notices) == 2


def test_what_was_gathered_of_a_log_is_written_before_the_next_one(desk: Desk) -> None:
    _, critical = desk.show(1, 1)
    who = desk.recipient()
    desk.receipts.written(1, 1, 1, 3)
    desk.receipts.log_ends()
    desk.hub.start_log("second")
    desk.show(1, 1, site_id=5)
    desk.receipts.written(1, 1, 1, 4)
    desk.receipts.received(who, 1)
    desk.receipts.left(who)
    assert [(record.epoch, record.runs[0].recipients) for record in desk.records()] == [("first", 3), ("second", 4)]
    desk.findings.notify_unseen(NOW + 60)
    assert len(desk.notices) == 1
    assert critical  # the same record in another log: one notice, not two


def test_messages_without_findings_are_no_concern(desk: Desk) -> None:
    desk.receipts.published([desk.world.entry(ticket(1, 1))])
    desk.receipts.seen(desk.recipient(), ["ticket"], NOW, may_act=True)
    assert desk.records() == []


def test_marks_without_end_have_a_bound() -> None:
    desk = Desk(ranges_max=10, ids_max=10_000)
    ids = [identifier for seq in range(1, 101) for identifier in desk.show(1, seq)]
    who = desk.recipient()
    desk.receipts.seen(who, ids, NOW, may_act=True)
    assert all(len(record.seen) <= 10 for record in desk.published)
    assert [mark.id for record in desk.records() for mark in record.seen] == ids
    for number in range(5_000):
        desk.findings.take_marks(marks_of(1, f"unknown {number}"))
        desk.findings.take_marks(marks_of(1, "the same", f"user {number}"))
    assert len(desk.findings._early) <= 1_000
    assert max(map(len, desk.findings._early.values())) <= 20
