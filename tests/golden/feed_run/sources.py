"""When the records of the recorded run come to their topics."""

import random
from collections.abc import Iterator

import msgspec
from company import PARTITION_OF, commits
from rows import Commit
from support.golden_run import Place
from support.memory_log import MemoryLog
from support.played_company import START_MS, Delivery, Step

from contracts.topics import TopicNames, tenant_key
from streams.engine.model import OutputRecord

NAMES = TopicNames()
LATE = (1, 3)
"""Partitions in which records come late."""
_PROMPT_MS = 30
_LATE_SHARE = 0.01
_HOLE_SHARE = 0.002
"""Of records before which an offset is taken by something that nobody sees."""
_REPEATS_AT = (0.11, 0.4, 0.72)
"""Where the connector restarts and sends its latest records again, as shares of the run."""
_STEPS = 420
_BURST_SHARE, _REPEAT_SHARE = 0.15, 0.04


class LifeSource:
    """Appends the commits of partitions 0 and 1 as time goes by."""

    partitions, seed = (0, 1), 1

    def __init__(self, log: MemoryLog, draws: random.Random) -> None:
        self._log, self._draws = log, draws
        sent = sorted(self._schedule(commits()), key=lambda each: each[0])  # stable: a topic's order stays
        self._waiting = list(reversed(sent))
        self.start_ms = sent[0][0] - 1_000

    def until(self, now_ms: int) -> None:
        """Append what has arrived by this time."""
        while self._waiting and self._waiting[-1][0] <= now_ms:
            at_ms, topic, partition, record = self._waiting.pop()
            if self._draws.random() < _HOLE_SHARE:
                self._log.skip(topic, partition, 1)
            self._log.append(topic, partition, [record], timestamp_ms=at_ms)

    def next_ms(self) -> int | None:
        """When the end of the next few records arrives; None when all have."""
        ahead = self._draws.choice((1, 1, 1, 2, 3, 8, 30, 80))
        return self._waiting[-min(ahead, len(self._waiting))][0] if self._waiting else None

    def _schedule(self, made: list[Commit]) -> Iterator[tuple[int, str, int, OutputRecord]]:
        lsn, commit_lsn = 10_000, 10_000
        sent_ms: dict[Place, int] = {}
        latest: list[tuple[str, int, OutputRecord]] = []
        repeats_at = {int(share * len(made)) for share in _REPEATS_AT}
        for number, each in enumerate(made):
            if each.new_database:
                lsn, latest = 500, []
            if not each.with_last:
                commit_lsn = lsn + 4
            lsn += 8
            partition = PARTITION_OF[each.tenant]
            record = OutputRecord(tenant_key(each.tenant), _value(each, commit_lsn, lsn), _headers(number))
            place = (NAMES.captured(each.table), partition, record)
            lag_ms = _PROMPT_MS
            if partition in LATE and self._draws.random() < _LATE_SHARE:
                lag_ms = self._draws.choice((400, 3_000, 60_000))
            for sent in [*latest, place] if number in repeats_at else [place]:
                at_ms = max(sent_ms.get(sent[:2], 0), each.at_us // 1_000 + lag_ms)
                sent_ms[sent[:2]] = at_ms
                yield (at_ms, *sent)
            # What a snapshot has read is never sent again: an interrupted one is taken anew.
            latest = [] if each.op == "r" else [*latest[-19:], place]


def _value(each: Commit, commit_lsn: int, lsn: int) -> bytes | None:
    if each.raw:
        return each.value
    snapshot = each.op == "r"
    source = {
        "ts_us": each.at_us + 1_000 * each.ahead_ms,
        "sequence": f'[null,"{lsn}"]' if snapshot else f'["{commit_lsn}","{lsn}"]',
        "lsn": lsn,
        "txId": commit_lsn,
    }
    return msgspec.json.encode({"op": each.op, "before": each.before, "after": each.after, "source": source})


def _headers(number: int) -> list[tuple[str, bytes]]:
    return [("note", b"%d" % number)] if number % 1_000 == 0 else []


class PlayedSource:
    """Appends the commits of partitions 2 and 3: dense, with bursts, waits and changed limits."""

    partitions, seed = (2, 3), 2
    start_ms = START_MS

    def __init__(self, log: MemoryLog, draws: random.Random) -> None:
        kinds = ["check_in"] * 4 + ["ticket", "ticket", "resolved", "policy", "limit", "site", "person", "shift", "fix"]
        kinds += ["taken_back", "snapshot", "unreadable", "ahead"]
        steps: list[Step] = []
        for _ in range(_STEPS):
            tenant, kind = draws.choice((12, 13, 14, 15)), draws.choice(kinds)
            lag_ms = draws.choice((5, 30, 200, 400, 3_000)) if tenant % 2 else _PROMPT_MS
            gap_ms = draws.choice((-60, 0, 1, 40, 300, 700, 1_000, 2_000, 3_500))
            if draws.random() < _BURST_SHARE:
                steps += [Step("check_in", tenant, 0, lag_ms)] * draws.randint(6, 14)
            steps.append(Step(kind, tenant, gap_ms, lag_ms, tenant % 2 == 0 and draws.random() < _REPEAT_SHARE))
        self._draws = draws
        self._now_ms = START_MS
        self._delivery = Delivery(_Shifted(log), steps)  # type: ignore[arg-type]

    def until(self, now_ms: int) -> None:
        """Append what has arrived by this time."""
        self._now_ms = now_ms
        self._delivery.until(now_ms)

    def next_ms(self) -> int | None:
        """A little later; None when all have arrived."""
        return None if self._delivery.end_ms is None else self._now_ms + self._draws.choice((1, 7, 40, 260))


class _Shifted:
    """A log whose partitions 0 and 1 are 2 and 3 of another."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def append(self, topic: str, partition: int, records: list[OutputRecord], timestamp_ms: int = 0) -> None:
        self._log.append(topic, partition + 2, records, timestamp_ms)
