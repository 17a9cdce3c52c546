"""A feed's messages as lines for a terminal."""

import re

import pytest

from contracts.messages import GapReason, UnrecoverableReason
from watchfloor.cli.feed_lines import gap_reason, message_line, notice_line
from watchfloor_client.events import Connected, Disconnected, Gap, Message, Resumed

ANOMALY = {
    "type": "anomaly_detected",
    "timestamp": "2026-03-02T09:00:00.250Z",
    "seq": 4,
    "anomaly_type": "WRONG_PERSON",
    "severity": "HIGH",
    "title": "Somebody else",
    "site_name": "Main Gate",
    "person_id": 17,
    "person_name": None,
    "detection_latency_ms": 21.4,
}


def shown(body: dict[str, object], *, colour: bool = False) -> str:
    return message_line(Message(str(body["type"]), body), colour=colour)


def test_an_anomaly_is_one_line_with_what_an_operator_needs() -> None:
    line = shown(ANOMALY)
    assert re.fullmatch(
        r"\d\d:\d\d:00\.250 HIGH     WRONG_PERSON       Somebody else · Main Gate · person 17 · 21 ms", line
    )


def test_severity_is_coloured_only_where_asked_for() -> None:
    assert "\x1b" not in shown(ANOMALY)
    assert "\x1b[31m" in shown(ANOMALY, colour=True)
    assert shown(ANOMALY | {"severity": "LOW"}, colour=True) != shown(ANOMALY, colour=True)


def test_an_event_with_several_findings_shows_the_worst_severity() -> None:
    findings = [
        {"finding_type": "LATE_CHECK_IN", "severity": "LOW", "title": "Late"},
        {"finding_type": "WRONG_PERSON", "severity": "HIGH", "title": "Other"},
    ]
    line = shown({"type": "anomaly_detected", "timestamp": "2026-03-02T09:00:00Z", "findings": findings})
    assert "HIGH     LATE_CHECK_IN+WRONG_PERSON Late; Other" in line


def test_a_severity_of_a_later_version_is_shown_as_it_is() -> None:
    findings = [{"finding_type": "NEW", "severity": "EXTREME", "title": "?"}]
    assert "EXTREME" in shown({"type": "anomaly_detected", "findings": findings})


def test_a_ticket_shows_its_change() -> None:
    body = {"type": "ticket_updated", "ticket_no": "T-1", "old_status": "NEW", "new_status": "OPEN", "priority": "LOW",
            "site_id": 3, "description": "water"}  # fmt: skip
    assert "TICKET             T-1 NEW -> OPEN · LOW · site 3 · water" in shown(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "rate_limited", "dropped": 50, "limit": 100, "window": "x"}, "50 events not scored, limit 100"),
        ({"type": "event_processed", "event_type": "location", "detection_latency_ms": 9}, "clean              location 9 ms"),
        ({"type": "error", "message": "no", "correlation_id": "c1"}, "no (c1)"),
        (
            {"type": "feed_status", "state": "behind", "behind_seconds": 12.4, "behind_records": 300, "component": "worker"},
            "the feed is behind · 12 s · 300 records · held up at: worker",
        ),
        ({"type": "feed_status", "state": "interrupted", "behind_seconds": None, "component": None}, "the feed is interrupted"),
        ({"type": "feed_status", "state": "live"}, "the feed is up to date"),
        (
            {"type": "critical_unseen", "id": "f1", "site_id": 4, "unseen_seconds": 61.2, "recipients": 2},
            "nobody has looked at f1 for 61 s · site 4 · sent to 2",
        ),
        (
            {"type": "message_seen", "id": "f1", "seen_by": [{"user": "amina", "at": ""}, {"user": "jo", "at": ""}]},
            "SEEN               f1 by amina, jo",
        ),
        ({"type": "message_seen", "id": "f1", "seen_by": 3}, "f1 by nobody"),
        ({"type": "alert_new", "alert": 3}, "alert_new          alert=3"),
    ],
)  # fmt: skip
def test_every_other_type_is_one_line_too(body: dict[str, object], expected: str) -> None:
    assert expected in shown(body)


def test_text_from_a_database_cannot_steer_the_terminal() -> None:
    evil = "a\x1b[2Jb\r\nc\x07\u202ed"
    for body in (
        ANOMALY | {"title": evil, "site_name": evil},
        {"type": "ticket_updated", "description": evil},
        {"type": evil, "field": evil},
        {"type": "feed_status", "component": evil, "since": evil},
        {"type": "critical_unseen", "id": evil},
        {"type": "message_seen", "id": evil, "seen_by": [{"user": evil}]},
    ):
        assert not re.search("[\x00-\x1f\x7f\u202e]", shown(body))
    assert not re.search("[\x00-\x1f\u202e]", notice_line(Disconnected(1011, evil, 1)))
    assert not re.search("[\x00-\x1f\u202e]", notice_line(Gap(1, 2, evil)))


def test_notices_are_sentences() -> None:
    assert notice_line(Connected(1, "e", 4)) == "connected as tenant 1, after message 4"
    assert notice_line(Gap(2, 3, "lost")) == "gap: messages 2 to 3 are missing: they did not arrive"
    assert notice_line(Gap(2, 3, "a reason of tomorrow")) == "gap: messages 2 to 3 are missing: a reason of tomorrow"
    new_log = notice_line(Gap(None, None, "epoch_changed"))
    assert new_log == "gap: the log behind the feed is a new one; numbering starts again"
    assert notice_line(Resumed(5, 9)) == "resumed: messages 5 to 9 follow"
    assert notice_line(Resumed(5, 4)) == "resumed: nothing was missed"
    assert notice_line(Disconnected(1012, "restart", 0.51)) == "disconnected: restart (1012); next attempt in 0.5 s"
    assert notice_line(Disconnected(None, "gone", 2)) == "disconnected: gone; next attempt in 2.0 s"


def test_every_reason_of_the_contract_has_words() -> None:
    for reason in (*UnrecoverableReason, *GapReason):
        assert gap_reason(str(reason)) != str(reason)
