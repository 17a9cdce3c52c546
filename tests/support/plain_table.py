"""What a bounded table promises, written down as plainly as possible: sorted lists, no heaps, nothing lazy."""

from dataclasses import dataclass, field
from typing import Any

from streams.engine.state.table import TableSpec

Key = tuple[int, int]
SECOND_US = 1_000_000


@dataclass
class PlainTable:
    """Keys are (tenant, number)."""

    spec: TableSpec
    values: dict[Key, Any] = field(default_factory=dict)
    used_us: dict[Key, int] = field(default_factory=dict)

    def get(self, key: Key, now_us: int) -> Any:
        if key not in self.values:
            return None
        age_us = now_us - self.used_us[key]
        if age_us >= self.gone_us:
            self.delete(key)
        elif age_us >= self.spec.use_interval_s * SECOND_US:
            self.used_us[key] = now_us
        return self.values.get(key)

    def put(self, key: Key, value: Any, now_us: int) -> None:
        mine = sorted((used_us, other) for other, used_us in self.used_us.items() if other[0] == key[0])
        if key not in self.values and self.spec.keys_per_group_max is not None:
            for _, other in mine[: max(0, len(mine) + 1 - self.spec.keys_per_group_max)]:
                self.delete(other)
        self.values[key] = value
        self.used_us[key] = max(now_us, self.used_us.get(key, 0))

    def delete(self, key: Key) -> None:
        self.values.pop(key, None)
        self.used_us.pop(key, None)

    def seen(self, now_us: int) -> dict[Key, Any]:
        """What a reader could still get."""
        return {key: value for key, value in self.values.items() if now_us - self.used_us[key] < self.gone_us}

    @property
    def gone_us(self) -> int:
        assert self.spec.expire_after_s is not None
        return (self.spec.expire_after_s + self.spec.use_interval_s) * SECOND_US
