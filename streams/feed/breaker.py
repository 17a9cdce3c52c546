"""The dead letters' circuit breaker: a bad record fails alone, a bad deployment must not drain the topics. Pure.

When too many records in a row fail, or too large a share of the latest ones, the worker stops instead of turning
everything into dead letters. Nothing is lost by that: the records stay in their topics, and the micro-batch that
opened the breaker was not written.
"""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Self

from streams.engine.model import Entry


class BreakerOpenError(Exception):
    """Too many records failed; says how many, and what to look at."""


class DeadLetterBreaker:
    """Counts failures of one worker.

    Args:
        run_max: failures in a row that are tolerated.
        share_max: share of failures among the latest records that is tolerated, 0..1.
        window_records: how many records "the latest" are; with fewer than these no share is judged.
        tenants_min: failures count only where they hit this many tenants. What one tenant writes into its
            own rows is that tenant's affair; what fails for several is ours.
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
            records: how many it had.
            failed: index of each that failed, ascending, and its record key, which tells the tenant.

        Raises:
            FuseBlownError: a limit is passed.
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
    """Index, in the order of the log, and record key of each chosen entry.

    Args:
        entries: of a micro-batch.
        chosen: the `id`s of some.
    """
    if not chosen:
        return {}
    return {index: entry.record.key for index, entry in enumerate(_in_log_order(entries)) if id(entry) in chosen}


def _in_log_order(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with the unreadable ones behind the record before them in their topic.

    In the micro-batch they come first, since they have no LSN; there even a few look like a long run.
    """
    before: dict[int, tuple[int, int]] = {}
    positions: list[tuple[tuple[int, int], int, int, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.offset):
        if entry.commit_lsn:
            before[entry.source_index] = (entry.commit_lsn, entry.lsn)
        positions.append((before.get(entry.source_index, (0, 0)), entry.source_index, entry.offset, entry))
    return [entry for *_, entry in sorted(positions, key=lambda position: position[:3])]
