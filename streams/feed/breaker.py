"""The circuit breaker of the dead letters. Pure.

A bad record becomes a dead letter, but a bad deployment must not turn whole topics into dead letters. The worker stops
when too many records in a row fail, or too large a share of the latest ones. Nothing is lost: the records stay in
their topics, and the micro-batch that opened the breaker is not written.
"""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Self

from streams.engine.model import Entry


class BreakerOpenError(Exception):
    """Too many records failed; the message says how many."""


class DeadLetterBreaker:
    """Counts the failures of one worker.

    Args:
        run_max: the number of failures in a row that is tolerated.
        share_max: the share of failures among the latest records that is tolerated, 0 to 1.
        window_records: the number of latest records for the share, which is not judged before there are this many.
        tenants_min: failures count only if they affect this many tenants: wrong rows of a single tenant are that
            tenant's problem, failures of several tenants are probably ours.
    """

    def __init__(self, *, run_max: int, share_max: float, window_records: int, tenants_min: int) -> None:
        self._run_max = run_max
        self._share_max = share_max
        self._window_records = window_records
        self._tenants_min = tenants_min
        self._run = 0
        self._run_tenants: set[bytes | None] = set()
        self._recent: deque[tuple[int, list[bytes | None]]] = deque()
        self._records = self._failures = 0

    @classmethod
    def never(cls) -> Self:
        """A breaker that never opens."""
        return cls(run_max=sys.maxsize, share_max=1.0, window_records=1, tenants_min=1)

    def note(self, records: int, failed: Mapping[int, bytes | None]) -> None:
        """Count one micro-batch.

        Args:
            records: the number of its records.
            failed: the index of each failed record, ascending, with its key, which identifies the tenant.

        Raises:
            BreakerOpenError: a limit is exceeded.
        """
        self._judge_run(records, failed)
        self._recent.append((records, list(failed.values())))
        self._records += records
        self._failures += len(failed)
        while self._recent and self._records - self._recent[0][0] >= self._window_records:
            old_records, old_failures = self._recent.popleft()
            self._records -= old_records
            self._failures -= len(old_failures)
        self._judge_share()

    def _judge_share(self) -> None:
        if self._records < self._window_records or self._failures <= self._share_max * self._records:
            return
        if len({key for _, keys in self._recent for key in keys}) >= self._tenants_min:
            raise BreakerOpenError(
                f"{self._failures} of the latest {self._records} records failed, more than {self._share_max:.0%}"
            )

    def _judge_run(self, records: int, failed: Mapping[int, bytes | None]) -> None:
        at = 0
        for index, key in failed.items():
            if index != at:
                self._run, self._run_tenants = 0, set()
            self._run += 1
            self._run_tenants.add(key)
            at = index + 1
            if self._run > self._run_max and len(self._run_tenants) >= self._tenants_min:
                raise BreakerOpenError(
                    f"more than {self._run_max} records in a row failed, of {len(self._run_tenants)} tenants"
                )
        if at != records:
            self._run, self._run_tenants = 0, set()


def keys_in_log_order(entries: Sequence[Entry], chosen: AbstractSet[int]) -> dict[int, bytes | None]:
    """The index in the order of the log, and the record key, of each entry of a micro-batch whose `id()` is chosen."""
    if not chosen:
        return {}
    return {index: entry.record.key for index, entry in enumerate(_in_log_order(entries)) if id(entry) in chosen}


def _in_log_order(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, with each unreadable one after its predecessor in its topic.

    In the micro-batch unreadable records come first because they have no LSN, where a few look like a long run.
    """
    before: dict[int, tuple[int, int]] = {}
    positions: list[tuple[tuple[int, int], int, int, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.offset):
        if entry.commit_lsn:
            before[entry.source_index] = (entry.commit_lsn, entry.lsn)
        positions.append((before.get(entry.source_index, (0, 0)), entry.source_index, entry.offset, entry))
    return [entry for *_, entry in sorted(positions, key=lambda position: position[:3])]
