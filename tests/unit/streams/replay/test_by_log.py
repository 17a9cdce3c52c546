"""What a replay without the journal refuses, since it could not say the same."""

import json
import random

import pytest
from support.played_company import NAMES, START_MS, Step
from support.replayed_company import by_the_journal, by_the_log, live_run

from streams.engine.model import OutputRecord
from streams.replay.by_journal import IncompleteLogError
from streams.replay.by_log import UnorderedLogError


def test_a_topic_without_its_beginning_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    log.delete_before(NAMES.captured("attendance"), 1, 2)
    with pytest.raises(IncompleteLogError, match="attendance begins at offset 2"):
        by_the_log(log, random.Random(1), [1], START_MS)
    with pytest.raises(IncompleteLogError, match="attendance no longer has the records of micro-batch"):
        by_the_journal(log, random.Random(1))


def test_another_database_behind_the_topics_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    body = {"op": "r", "before": None, "after": {"id": 1, "tenant_id": 1}, "source": {"ts_us": 0, "lsn": 7, "txId": 1}}
    value = json.dumps(body | {"source": body["source"] | {"sequence": '[null,"7"]'}}).encode()  # type: ignore[operator]
    log.append(NAMES.captured("attendance"), 1, [OutputRecord(b"", value, ())])
    with pytest.raises(UnorderedLogError, match="another database's history"):
        by_the_log(log, random.Random(1), [1], START_MS)


def test_a_record_that_compaction_took_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    place = NAMES.captured("attendance"), 1
    log.topics[place] = [record for record in log.topics[place] if record.offset != 2]
    with pytest.raises(IncompleteLogError, match="attendance no longer has the records of micro-batch"):
        by_the_journal(log, random.Random(1))
