"""Checks that the embedded Kafka still has the feed that earlier starts wrote.

A broker whose metadata is damaged moves the directories of topics that it does not know aside (`*-stray`) and
runs on without them. New, empty topics would replace them, and nobody would notice the loss.
Owns the check and the identity that it compares with. Changes nothing in Kafka.
"""

from pathlib import Path

from common.errors import WatchfloorError
from common.kafka import TopicMissingError, feed_epoch
from common.settings.kafka import KafkaSettings
from contracts.topics import TopicNames
from deploy.embedded.state import SavedState

_STRAY = "*-stray"


def refuse_strays(data: Path) -> None:
    """Raise WatchfloorError if Kafka has moved directories of topics aside in its data directory."""
    stray = next(iter(sorted(data.glob(_STRAY))), None)
    if stray is not None:
        raise _lost(data, f"it has moved {stray.name} aside")


def check_feed_log(data: Path, saved: SavedState, kafka: KafkaSettings, *, timeout_s: float) -> None:
    """Compare the running broker's feed with the one of the last start, before any topic is created.

    Raises:
        WatchfloorError: topics were moved aside, or the feed's topic is missing or a different one.
    """
    refuse_strays(data)
    name = TopicNames(kafka.topic_prefix).anomalies
    known = saved.feed_epochs.get(name)
    if known is None:
        return
    try:
        found = feed_epoch(kafka, name, timeout_s=timeout_s)
    except TopicMissingError as missing:
        raise _lost(data, f"topic {name} is gone") from missing
    if found != known:
        raise _lost(data, f"topic {name} is not the one of the last start")


def remember_feed_log(saved: SavedState, kafka: KafkaSettings) -> None:
    """Store the identity of the feed's topic in `saved` for the next start; raises as `feed_epoch` does."""
    name = TopicNames(kafka.topic_prefix).anomalies
    saved.feed_epochs[name] = feed_epoch(kafka, name)


def _lost(data: Path, why: str) -> WatchfloorError:
    return WatchfloorError(
        f"the state directory is damaged: Kafka has lost track of its topics in {data} ({why})",
        "restore the whole state directory from a copy, or start with a new --state-dir",
    )
