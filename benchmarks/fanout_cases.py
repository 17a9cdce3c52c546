"""The cases and targets of the fan-out benchmark. Measures nothing."""

from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "fanout"
TENANTS = tuple(range(1, 11))


@dataclass(frozen=True, slots=True)
class Steady:
    """A number of viewers, spread evenly over the tenants, and records per second of all tenants together."""

    name: str
    clients: int
    rate: int
    targets: dict[str, float]
    """The targets of our own gateway, by the name of the value."""
    servers: tuple[str, ...]
    beats_peer: bool = False
    """Whether CPU and p99 must be below the peer's."""

    @property
    def deliveries_per_s(self) -> int:
        """Deliveries per second if every viewer gets everything."""
        return self.clients // len(TENANTS) * self.rate


STEADY = (
    Steady("20k", 1_000, 200, {"p99_ms": 6.0}, ("watchfloor", "centrifuge", "broadcast", "naive")),
    Steady(
        "100k",
        1_000,
        1_000,
        {"p99_ms": 30.0, "cpu_s_per_million": 7.0},
        ("watchfloor", "centrifuge", "broadcast", "naive"),
        beats_peer=True,
    ),
    Steady(
        "300k", 1_000, 3_000, {"p99_ms": 50.0, "cpu_s_per_million": 2.5}, ("watchfloor", "centrifuge"), beats_peer=True
    ),
    Steady("peak", 2_000, 4_000, {"deliveries_per_s": 600_000}, ("watchfloor", "centrifuge"), beats_peer=True),
)
OTHER_CASES = ("idle", "frozen", "storm")
CASES = (*(case.name for case in STEADY), *OTHER_CASES)

IDLE_CLIENTS = 5_000
IDLE_S = 30.0
"""Long enough for a heartbeat of the gateway and one of the library."""
IDLE_KIB_MAX = 16.0

FROZEN_CLIENTS, FROZEN_RATE = 2_000, 500
FROZEN_TENANT, FROZEN_TENANT_RATE = 11, 600
"""The rate of the frozen viewer's tenant: high enough to fill the kernel's buffers (2.5 MB on loopback) before the
phase is over, and low enough that the missed messages stay in the gateway's history (10,000 messages)."""
FROZEN_CYCLES, FROZEN_PHASE_S, FROZEN_GUARD_S = 3, 12.0, 3.0
FROZEN_P99_RATIO_MAX = 1.10
FROZEN_GROWTH_MIB_MAX = 32.0

STORM_CLIENTS, STORM_RATE = 5_000, 200
STORM_S_MAX = 15.0
