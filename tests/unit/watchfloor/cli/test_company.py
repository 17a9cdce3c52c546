"""What `watchfloor demo` says while it runs and when it ends."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from support.waiting import until

from common.settings.auth import AuthSettings
from simulation.live.simulation import Plan
from simulation.live.writer import CompanyWriter
from watchfloor.cli.company import FeedWatch, StatusLine, summary, wait_until_seen

AUTH = AuthSettings(hs256_secret=SecretStr("a secret of thirty-two bytes or more"))


def pair(url: str = "ws://127.0.0.1:1", tenants: tuple[int, ...] = (1,)) -> tuple[CompanyWriter, FeedWatch]:
    return CompanyWriter("postgresql://nobody@127.0.0.1:1/none", Plan()), FeedWatch(url, AUTH, tenants)


def test_the_status_compares_what_was_planted_with_what_was_seen() -> None:
    writer, watch = pair()
    writer.progress.rows = 120
    writer.progress.planted = Counter({"WRONG_PERSON": 3})
    watch.seen = Counter({"WRONG_PERSON": 2, "LATE_CHECK_IN": 1, "stats": 9})
    line = StatusLine(writer, watch).text()
    assert "120 rows written" in line
    assert "3 planted, 2 of them seen, 1 unplanned" in line
    writer.progress.waiting = "PostgreSQL does not answer"
    assert StatusLine(writer, watch).text().endswith("· PostgreSQL does not answer")
    lines = summary(writer, watch)
    assert ["WRONG_PERSON", "planted", "3", "seen", "2"] in [text.split() for text in lines]
    assert lines[-1] == "unplanned findings 1, LATE_CHECK_IN 1"


def test_the_last_messages_are_waited_for_but_not_for_ever() -> None:
    writer, watch = pair()
    writer.progress.planted = Counter({"WRONG_PERSON": 1})
    began = time.monotonic()
    wait_until_seen(writer, watch, 0.3)
    assert 0.3 <= time.monotonic() - began < 2
    watch.seen = Counter({"WRONG_PERSON": 1})
    began = time.monotonic()
    wait_until_seen(writer, watch, 5)
    assert time.monotonic() - began < 1


def test_the_feeds_of_all_tenants_are_counted_by_type(scripted: Callable[..., Any]) -> None:
    def script(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0, anomaly_type="WRONG_PERSON")
        visit.send(type="ticket_updated", seq=2, prev_seq=1)
        visit.send(type="stats")
        visit.stay()

    gateway = scripted(script)
    _, watch = pair(gateway.url, (1, 2))
    watch.start()
    assert watch.wait_connected(10)
    until(lambda: watch.messages >= 4, "both feeds are heard", within_s=10)
    watch.stop()
    assert watch.seen == {"WRONG_PERSON": 2, "ticket_updated": 2}
    assert len(set(gateway.tokens)) == 2


def test_a_watch_that_is_refused_keeps_the_reason(scripted: Callable[..., Any]) -> None:
    writer, watch = pair(scripted(lambda visit: visit.close(4403)).url)
    watch.start()
    assert not watch.wait_connected(0.5)
    watch.stop()
    assert watch.failure is not None
    assert "noc:view" in StatusLine(writer, watch).text()


def test_a_watch_of_many_tenants_ends_quietly(
    scripted: Callable[..., Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def chatter(visit: Any) -> None:
        visit.welcome()
        for seq in range(1, 2000):
            visit.anomaly(seq, seq - 1)

    for _ in range(3):
        _, watch = pair(scripted(chatter).url, tuple(range(1, 9)))
        watch.start()
        assert watch.wait_connected(10)
        watch.stop()
        watch.stop()
    assert caplog.records == []
    assert capfd.readouterr().err == ""
