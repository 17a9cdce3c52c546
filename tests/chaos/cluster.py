"""A real Kafka broker of the test's own, that can be killed and started again. Knows nothing of workers.

One KRaft node from the embedded stack's archives and configuration, on loopback and on a free port, with a
log cleaner that looks every moment: compaction is something that the tests want to see happen. Its controller soon
forgets a killed broker, which may otherwise not come back for nine seconds.
"""

import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from chaos.topic_reader import Reader
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from support.waiting import until

from common.paths import default_cache_dir
from deploy.embedded.broker import Broker
from deploy.embedded.jars import JarCache, read_lock
from deploy.embedded.java import Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import choose

START_S_MAX = 120.0
STOP_S_MAX = 30.0
_HEAP_MIB = 384
_LOG_MIB_MAX = 64
_EAGER = """
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=500
"""


class Cluster:
    """One broker; `kill` is SIGKILL, `start` brings it back with what its disk has."""

    def __init__(self, directory: Path) -> None:
        jars = JarCache(default_cache_dir(), read_lock())
        jars.ensure()
        taken: set[int] = set()
        config = directory / "kafka.properties"
        self._broker = Broker(Java(jars), directory / "kafka", config, choose([], taken), choose([], taken))
        identity = urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        # A leading hyphen would look like an option to Kafka's formatting tool.
        self._broker.prepare(f"c{identity[1:]}", lambda: False)
        config.write_text(config.read_text("utf-8") + _EAGER, "utf-8")
        options = StackOptions(kafka_heap_mib=_HEAP_MIB, stop_timeout_s=STOP_S_MAX, log_mib_max=_LOG_MIB_MAX)
        self._spec = self._broker.spec(directory / "kafka.log", options)
        self._process: subprocess.Popen[bytes] | None = None
        self.address = self._broker.address
        self.reader = Reader(self.address)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """What the broker says."""
        return self._spec.log

    def tail(self, lines: int) -> list[str]:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace").splitlines()[-lines:] if self.log.exists() else []

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        with self._spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._spec.argv, stdout=log, stderr=log, env=dict(self._spec.env), start_new_session=True
            )
        until(
            lambda: self._answers() or not self.running,
            f"the broker answers, see {self._spec.log}",
            within_s=START_S_MAX,
        )
        assert self.running, f"the broker ended, see {self._spec.log}"

    def kill(self) -> None:
        """SIGKILL, as a power cut that the disk survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop the broker; harmless when it does not run."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def configure_topic(self, topic: str, values: Mapping[str, str]) -> None:
        """Change settings of an existing topic while it is in use."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        admin = self._admin()  # the futures need it alive
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(10)

    def _answers(self) -> bool:
        if not self._broker.answers():
            return False
        try:
            self._admin().list_topics(timeout=2)
        except KafkaException:
            return False
        return True

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})
