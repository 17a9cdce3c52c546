"""Whether the embedded Kafka still has the log that the last start left behind.

A broker whose metadata is damaged sets the directories of topics that it no longer knows aside (`*-stray`) and
goes on without them: new, empty topics would take their place and everything would look well.
Owns that check and what it compares with. Changes nothing in Kafka.
"""

from pathlib import Path

from common.errors import WatchfloorError
from common.kafka import TopicMissingError, feed_epoch
from common.settings.kafka import KafkaSettings
from contracts.topics import TopicNames
from deploy.embedded.state import Memory

_STRAY = "*-stray"


def refuse_strays(data: Path) -> None:
    """Raises WatchfloorError where Kafka has set directories of topics aside in its data directory."""
    stray = next(iter(sorted(data.glob(_STRAY))), None)
    if stray is not None:
        raise _lost(data, f"it has set {stray.name} aside")


def check_feed_log(data: Path, memory: Memory, kafka: KafkaSettings, *, timeout_s: float) -> None:
    """Compare the running broker with what is remembered; before anybody creates topics.

    Raises:
        WatchfloorError: topics were set aside, or the feed's topic is gone or another one.
    """
    refuse_strays(data)
    name = TopicNames(kafka.topic_prefix).anomalies
    known = memory.feed_epochs.get(name)
    if known is None:
        return
    try:
        found = feed_epoch(kafka, name, timeout_s=timeout_s)
    except TopicMissingError as missing:
        raise _lost(data, f"topic {name} is gone") from missing
    if found != known:
        raise _lost(data, f"topic {name} is another one than at the last start")


def remember_feed_log(memory: Memory, kafka: KafkaSettings) -> None:
    """Put the identity of the feed's topic into `memory`, for the next start; raises as `feed_epoch` does."""
    name = TopicNames(kafka.topic_prefix).anomalies
    memory.feed_epochs[name] = feed_epoch(kafka, name)


def _lost(data: Path, why: str) -> WatchfloorError:
    return WatchfloorError(
        f"the state directory is damaged: Kafka has lost track of its topics in {data} ({why})",
        "restore the whole state directory from a copy, or start with a new --state-dir",
    )
