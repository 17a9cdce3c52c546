"""The options of the embedded stack, with every limit that the launcher keeps.

Owns the options and their defaults. Never reads the environment or a file.
"""

from dataclasses import dataclass, field
from pathlib import Path

from common.paths import default_cache_dir, default_state_dir


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of one embedded stack. If the address of a server is given, that server is used and none is started."""

    state_dir: Path = field(default_factory=default_state_dir)
    cache_dir: Path = field(default_factory=default_cache_dir)
    postgres_url: str | None = field(default=None, repr=False)
    """`postgresql://…` of a role that may create the publication and the capture role; may hold a password."""
    postgres_named_by: str = "--postgres"
    """The option or setting that `postgres_url` comes from, for the advice in error messages."""
    kafka: str | None = None
    """`host:port[,host:port]` of a cluster."""
    connect_url: str | None = None
    gateway_port: int | None = None
    postgres_port: int | None = None
    kafka_port: int | None = None
    connect_port: int | None = None
    metrics_port: int | None = None
    """The first worker's port; further workers take free ports."""
    workers: int = 1

    start_timeout_s: float = 60.0
    """How long a component may take until it answers."""
    stop_timeout_s: float = 20.0
    """How long a component may take to stop before it is killed."""
    restart_delay_s_min: float = 0.5
    restart_delay_s_max: float = 30.0
    """A component that keeps ending is restarted after 0.5, 1, 2, … seconds, at most after this many."""
    healthy_after_s: float = 30.0
    """After a component has run for this long, its next restart has the shortest delay again."""
    connector_poll_s: float = 5.0
    """How often the connector's tasks are checked."""
    free_disk_mib_min: int = 1024
    """A start needs this much free space: a disk that fills up during a start leaves more to repair."""
    free_disk_mib_stop: int = 128
    """Below this much free space the stack is stopped, while it can still be stopped in order."""
    log_mib_max: int = 16
    """For each component; the previous file is kept as `.1`."""
    shown_log_lines: int = 12
    kafka_heap_mib: int = 320
    connect_heap_mib: int = 256

    @property
    def log_bytes_max(self) -> int:
        """`log_mib_max` in bytes."""
        return self.log_mib_max << 20
