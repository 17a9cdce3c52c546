"""A Kafka that has forgotten its topics is noticed before new ones take their place."""

from pathlib import Path

import pytest

from common.errors import WatchfloorError
from common.kafka import TopicMissingError
from common.settings.kafka import KafkaSettings
from deploy.embedded import feed_log
from deploy.embedded.feed_log import check_feed_log, refuse_strays, remember_feed_log
from deploy.embedded.state import SavedState

KAFKA = KafkaSettings()


def say(monkeypatch: pytest.MonkeyPatch, epoch: str | None) -> None:
    def feed_epoch(_kafka: KafkaSettings, _topic: str, *, timeout_s: float = 10.0) -> str:
        assert timeout_s > 0
        if epoch is None:
            raise TopicMissingError("topic noc.anomalies is missing", "start a worker")
        return epoch

    monkeypatch.setattr(feed_log, "feed_epoch", feed_epoch)


def test_topics_that_kafka_set_aside_are_told(tmp_path: Path) -> None:
    refuse_strays(tmp_path / "not made yet")
    (tmp_path / "noc.anomalies-0").mkdir()
    refuse_strays(tmp_path)
    (tmp_path / "noc.anomalies-1.0123abcd-stray").mkdir()
    for check in (refuse_strays, lambda data: check_feed_log(data, SavedState(), KAFKA, timeout_s=1)):
        with pytest.raises(WatchfloorError, match=r"damaged: .*-stray aside\): restore .* new --state-dir"):
            check(tmp_path)


@pytest.mark.parametrize(("now", "why"), [("B", "is not the one"), (None, "is gone")])
def test_another_feed_than_at_the_last_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str | None, why: str
) -> None:
    saved = SavedState()
    say(monkeypatch, "A")
    check_feed_log(tmp_path, saved, KAFKA, timeout_s=1)
    remember_feed_log(saved, KAFKA)
    check_feed_log(tmp_path, saved, KAFKA, timeout_s=1)
    say(monkeypatch, now)
    with pytest.raises(WatchfloorError, match=rf"damaged: .*{why}.*: restore .* new --state-dir"):
        check_feed_log(tmp_path, saved, KAFKA, timeout_s=1)
    # A feed under another prefix is another feed, which may well be new.
    check_feed_log(tmp_path, saved, KafkaSettings(topic_prefix="other"), timeout_s=1)
