"""A table whose keys are bounded: by their number within a group, and by log time without use.

**What it promises.** A key that was not used for `expire_after_s` is gone: not before that time, and at most
`use_interval_s` later. A new key of a group that has `keys_per_group_max` keys evicts the group's least recently used
key. One group's keys never evict another's.

**Why a replay gives the same.** The time of a use is the log time that the application has set (`LogTime`), so it is a
function of the records alone; it is stored with the value. Which key is evicted first is decided by (time of the last
use, key) and by nothing else, so a recovered table decides like the one before the crash. Expired keys are removed in
small steps between micro-batches, wherever those are cut. That is not visible: `get` does not return an expired key
whether it is still there or not, and expired keys are evicted first.

**What it costs.** One more look-up per put, which also stores the time instead of a mark that the key has changed. A
heap per group orders the keys by last use, lazily: an entry keeps the time at which it was pushed, is looked at only
when it comes to the top, and is moved to its right place then. A group's keys are therefore never sorted, and a use
moves nothing.
"""

import heapq
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec

from streams.engine.state.last_use import LastUse
from streams.engine.state.table import NOT_ENCODABLE, ChangelogRecord, Stored, Table, TableSpec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_US = 1_000_000
_NEVER_US = 1 << 63

BOUND, EXPIRED = "bound", "expired"
"""Why a key was evicted."""


class LogTime:
    """The log time of the record being processed, microseconds since 1970; set by the application.

    Never the wall clock. It may go back a little where records of several topics are merged late.
    """

    __slots__ = ("us",)

    def __init__(self) -> None:
        self.us = 0


class BoundedTable(Table[K, V]):
    """A table with bounds; otherwise used as any other."""

    def __init__(self, spec: TableSpec, log_time: LogTime) -> None:
        super().__init__(spec)
        self.on_removed: Callable[[K, V], None] | None = None
        """Told of each key that is removed, for whatever reason, with its value: for what the application derives."""
        self.evicted: dict[tuple[Any, str], int] = {}
        """(group, reason) to the number of evicted keys since the gauges were last set, which empties it."""
        self._log_time = log_time
        self._keys_max = spec.keys_per_group_max or _NEVER_US
        self._use_interval_us = spec.use_interval_s * _US
        # Uses are noted only once per interval: a key may have been used that long after its noted time.
        self._keep_us = _NEVER_US if spec.expire_after_s is None else spec.expire_after_s * _US + self._use_interval_us
        self._group_of = spec.group_of
        self._used_us: dict[K, int] = {}
        """Log time of each key's last use, but for what `dirty` knows better."""
        self.dirty: dict[K, int] = {}  # type: ignore[assignment]
        """Changed keys, and when each was last used where that is later than in `_used_us`: a put notes both at once."""
        self._newest_us = 0
        """No key was used later."""
        self._orders: dict[Any, LastUse[K]] = {}
        """By group; valid while `_ordered`."""
        self._ordered = False
        """Orders are built when they are first needed, which is not while a changelog is loaded."""
        self._groups: list[tuple[int, Any]] = []
        """A heap: groups by the time before which none of their keys was last used."""
        self._due_us = 0
        self.get = self._make_get()

    def put(self, key: K, value: V) -> None:
        """Store a value, which counts as use."""
        if key not in self.data:
            self._admit(key, self._log_time.us)
        self.data[key] = value
        self.changed(key)

    def changed(self, key: K) -> None:
        """Note that the value of an existing key was changed in place, which counts as use."""
        now_us = self._log_time.us
        if now_us >= self._newest_us:
            self._newest_us = self.dirty[key] = now_us
        else:
            self.dirty[key] = max(now_us, self._last_use(key) or 0)

    def delete(self, key: K) -> None:
        """Remove a key, if it is there."""
        if key in self._used_us:
            self._order(self._group_of(key)).count -= 1
            del self._used_us[key]
            value = self.data.pop(key)
            self.dirty[key] = 0
            if self.on_removed is not None:
                self.on_removed(key, value)

    def sweep(self, steps_max: int) -> None:
        """Remove some of the expired keys: look at so many entries.

        Waits `use_interval_s` longer than `get` does, so that a record which comes late, or one from a clock
        that is ahead, removes nothing that another record would still have found.
        """
        if self._log_time.us < self._due_us or self._keep_us == _NEVER_US:
            return
        self._build_orders()
        for _ in range(steps_max):
            if not self._sweep_one(self._log_time.us - self._keep_us - self._use_interval_us):
                return

    def _sweep_one(self, until_us: int) -> bool:
        """Look at one entry; returns whether there may be more that were last used at `until_us` or before."""
        if not self._groups:
            self._due_us = 0
            return False
        queued_us, group = self._groups[0]
        if queued_us > until_us:
            self._due_us = queued_us + self._keep_us + self._use_interval_us
            return False
        order = self._orders[group]
        top = order.top
        if top is None:
            heapq.heappop(self._groups)
            del self._orders[group]
        elif top[0] != queued_us:
            heapq.heapreplace(self._groups, (top[0], group))
        elif order.settle():
            if top[0]:
                self._evict(top[1], EXPIRED)
            else:  # when it was used is not known: it expires a whole term from now
                self._note_use(top[1])
        return True

    def _make_get(self) -> Callable[..., Any]:
        """`get(key, default=None)` as a closure: every event reads several keys, and looks up no attribute for them."""
        used_us_of, value_of = self._used_us.get, self.data.__getitem__
        log_time, use_interval_us, keep_us = self._log_time, self._use_interval_us, self._keep_us

        def get(key: K, default: Any = None) -> Any:
            """A key's value, `default` where it is not there or has expired. Counts as use."""
            used_us = used_us_of(key)
            if used_us is None:
                return default
            if log_time.us - used_us < use_interval_us:
                return value_of(key)
            age_us = log_time.us - max(used_us, self.dirty.get(key, 0))
            if age_us < use_interval_us:
                return value_of(key)
            if used_us and age_us >= keep_us:
                self._evict(key, EXPIRED)
                return default
            self._note_use(key)
            return value_of(key)

        return get

    def touch(self, key: bytes) -> None:
        """Count a key, in its changelog form, as changed: its value is written again."""
        self.dirty.setdefault(self._decode_key(key), 0)

    def _last_use(self, key: K) -> int | None:
        used_us = self._used_us.get(key)
        return None if used_us is None else max(used_us, self.dirty.get(key, 0))

    def _note_use(self, key: K) -> None:
        self._used_us[key] = self.dirty[key] = now_us = self._log_time.us
        self._newest_us = max(self._newest_us, now_us)

    def _admit(self, key: K, now_us: int) -> None:
        """Count a new key, and evict others where its group has too many."""
        order = self._order(self._group_of(key))
        while order.count >= self._keys_max:
            self._evict(order.least_recent(), BOUND)
        self._used_us[key] = self.dirty[key] = now_us
        order.add(key, now_us)

    def _evict(self, key: K, reason: str) -> None:
        self.delete(key)
        what = (self._group_of(key), reason)
        self.evicted[what] = self.evicted.get(what, 0) + 1

    def _order(self, group: Any) -> LastUse[K]:
        self._build_orders()
        order = self._orders.get(group)
        if order is None:
            order = self._orders[group] = LastUse(self._last_use, [])
            heapq.heappush(self._groups, (self._log_time.us, group))
        return order

    def _build_orders(self) -> None:
        if self._ordered:
            return
        entries: dict[Any, list[tuple[int, K]]] = {}
        for key, used_us in self._used_us.items():
            entries.setdefault(self._group_of(key), []).append((max(used_us, self.dirty.get(key, 0)), key))
        self._orders = {group: LastUse(self._last_use, its) for group, its in entries.items()}
        self._groups = [(order.top[0], group) for group, order in self._orders.items() if order.top is not None]
        heapq.heapify(self._groups)
        self._due_us, self._ordered = 0, True

    def _encode_changes(self, generation: int) -> list[ChangelogRecord]:
        dirty, self.dirty = self.dirty, {}
        prefix, encode_key, encode = self._prefix, msgspec.json.encode, msgspec.msgpack.encode
        get, used_us = self.data.get, self._used_us
        for key, noted_us in dirty.items():
            if noted_us > used_us.get(key, _NEVER_US):
                used_us[key] = noted_us
        try:
            return [
                (
                    prefix + encode_key(key),
                    None if (value := get(key)) is None else encode((generation, value, used_us[key])),
                )
                for key in dirty
            ]
        except NOT_ENCODABLE:
            return self._encodable(dirty, lambda key: (generation, self.data[key], used_us[key]))

    def keys_of(self, group: Any) -> list[K]:
        """The keys of one group, sorted; costs no look at those of others."""
        self._build_orders()
        order = self._orders.get(group)
        return [] if order is None else order.keys()

    def count_of(self, group: Any) -> int:
        """The number of keys of one group."""
        self._build_orders()
        order = self._orders.get(group)
        return 0 if order is None else order.count

    def _forget(self, key: K) -> None:
        if self._used_us.pop(key, None) is not None:
            del self.data[key]
            self._ordered = False

    def _take_in(self, key: K, stored: Stored[V]) -> None:
        super()._take_in(key, stored)
        self._used_us[key] = stored.used_us
        self._newest_us = max(self._newest_us, stored.used_us)
        self._ordered = False
