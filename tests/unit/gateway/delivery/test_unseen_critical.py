"""CRITICAL messages: told again when nobody looked, never after somebody did, and never more often than said."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from common.settings.gateway import CriticalSettings
from contracts.messages import CriticalUnseen, MessageSeen
from contracts.receipts import Run
from gateway.access.scope import Scope
from gateway.delivery.unseen_critical import CriticalMessage, Notice, UnseenCritical
from gateway.session.replies import iso

LIMITS = CriticalSettings(unseen_s=60, notices_max=3, messages_max=4, seen_by_max=2)


def watch_with(*identifiers: str, tenant: int = 1, since: float = 0.0) -> UnseenCritical:
    watch = UnseenCritical(LIMITS)
    for seq, identifier in enumerate(identifiers, start=1):
        watch.add(CriticalMessage(tenant, identifier, seq, 2, 3, since), since)
    return watch


def told(notices: list[Notice]) -> list[str]:
    found = []
    for notice in notices:
        assert isinstance(notice.message, CriticalUnseen)
        found.append(notice.message.id)
    return found


def test_a_message_that_nobody_looks_at_is_told_again_three_times_later_each_time() -> None:
    watch = watch_with("a")
    moments = [second for second in range(1, 2_000) if watch.due(second)]
    assert moments == [60, 120, 240]
    assert watch.unseen == 1


def test_a_notice_says_what_it_is_about_and_who_got_the_message() -> None:
    watch = watch_with("a", "b")
    watch.count(1, [Run(1, 1, 5), Run(2, 9, 2)])
    watch.count(1, [Run(2, 2, 1)])
    watch.count(2, [Run(1, 9, 100)])
    first, second = (notice.message for notice in watch.due(61.5))
    assert first == CriticalUnseen(
        timestamp=iso(61.5),
        seq=1,
        id="a",
        site_id=3,
        client_id=2,
        since=iso(0),
        unseen_seconds=61.5,
        recipients=5,
    )
    assert isinstance(second, CriticalUnseen)
    assert second.recipients == 3


def test_only_those_are_told_who_may_see_the_message() -> None:
    notice = watch_with("a").due(60)[0]
    assert notice.about.tenant_id == 1
    assert notice.about.shows(Scope())
    assert notice.about.shows(Scope(sites=frozenset({3})))
    assert not notice.about.shows(Scope(sites=frozenset({4})))
    assert not notice.about.shows(Scope(clients=frozenset({1})))
    assert not notice.about.shows(Scope(wanted_sites=frozenset({4})))


def test_who_looks_first_ends_the_notices_and_everybody_hears_of_each_who_looks() -> None:
    watch = watch_with("a")
    first = watch.seen(1, "a", "ops", "t1", 10)
    second = watch.seen(1, "a", "boss", "t2", 11)
    assert first is not None
    assert second is not None
    assert isinstance(second.message, MessageSeen)
    assert [(seen.user, seen.at) for seen in second.message.seen_by] == [("ops", "t1"), ("boss", "t2")]
    assert watch.seen(1, "a", "ops", "t3", 12) is None
    assert watch.seen(1, "a", "third", "t3", 12) is None  # more are not named
    assert [watch.due(second) for second in (60, 120, 240)] == [[], [], []]
    assert watch.unseen == 0


def test_another_tenant_s_mark_means_nothing() -> None:
    watch = watch_with("a")
    assert watch.seen(2, "a", "ops", "t1", 10) is None
    assert told(watch.due(60)) == ["a"]


def test_after_a_restart_the_notices_go_on_where_they_are() -> None:
    watch = UnseenCritical(LIMITS)
    watch.add(CriticalMessage(1, "a", 1, None, None, 0), 130)
    assert [second for second in range(130, 600) if watch.due(second)] == [240]
    watch.add(CriticalMessage(1, "old", 2, None, None, 0), 700)
    assert watch.due(10_000) == []


def test_a_loop_that_stood_still_tells_once() -> None:
    watch = watch_with("a")
    assert told(watch.due(130)) == ["a"]
    assert watch.due(130) == []
    assert told(watch.due(240)) == ["a"]


def test_the_oldest_messages_give_way() -> None:
    watch = watch_with("a", "b", "c", "d", "e", "f")
    assert told(watch.due(60)) == ["c", "d", "e", "f"]
    assert watch.unseen == 4
    assert watch.seen(1, "a", "ops", "t", 61) is None


actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 2), st.integers(0, 12)),
        st.tuples(st.just("seen"), st.integers(1, 2), st.integers(0, 12)),
        st.tuples(st.just("wait"), st.integers(1, 2), st.integers(1, 100)),
    ),
    max_size=60,
)


@given(actions)
def test_never_told_after_it_was_seen_never_too_early_never_too_often(script: list[tuple[str, int, int]]) -> None:
    watch = UnseenCritical(LIMITS)
    now = 0.0
    since: dict[tuple[int, str], float] = {}
    seen: set[tuple[int, str]] = set()
    notices: dict[tuple[int, str], int] = defaultdict(int)
    for what, tenant, number in script:
        key = (tenant, str(number))
        if what == "add":
            watch.add(CriticalMessage(tenant, str(number), number, None, None, now), now)
            if len([1 for known in since if known[0] == tenant]) < LIMITS.messages_max:
                since.setdefault(key, now)
            else:
                return  # who gives way to whom is another test's
        elif what == "seen":
            notice = watch.seen(tenant, str(number), "ops", iso(now), now)
            assert (notice is not None) == (key in since and key not in seen)
            if key in since:
                seen.add(key)
        else:
            now += number
        for notice in watch.due(now):
            assert isinstance(notice.message, CriticalUnseen)
            key = (notice.about.tenant_id, notice.message.id)
            notices[key] += 1
            assert key not in seen
            assert now >= since[key] + LIMITS.unseen_s * 2 ** (notices[key] - 1)
            assert notices[key] <= LIMITS.notices_max
        for key, began in since.items():
            due = sum(now >= began + LIMITS.unseen_s * 2**step for step in range(LIMITS.notices_max))
            assert key in seen or (notices[key] > 0) == (due > 0)
        assert watch.unseen == len(since.keys() - seen)
