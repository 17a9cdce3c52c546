"""Creates the ahead-of-time caches of Kafka and Connect, once for each set of archives.

Starts both in a scratch directory and stops them; the Java runtime then saves the classes that it loaded and
linked, and every later start takes half the time. Nothing else depends on the caches: if creating them fails,
the stack starts without them.
"""

import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from deploy.embedded.broker import Broker, sign_in
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.config import server_environment
from deploy.embedded.connect_worker import ConnectWorker
from deploy.embedded.jars import JarCache
from deploy.embedded.java import BROKER, CONNECT, Java
from deploy.embedded.logfiles import last_lines
from deploy.embedded.ports import choose
from deploy.embedded.processes import RecordFile
from deploy.embedded.waiting import StartCalledOff, wait_until

_HEAP_MIB = 256
_START_TIMEOUT_S = 60
_DUMP_TIMEOUT_S = 90
_POLL_S = 0.1
_ADVICE = "nothing: starts take longer"
_PROGRAMS = {"kafka": BROKER, "connect": CONNECT}
_CLUSTER_ID = "dHJhaW5pbmctY2x1c3RlcQ"


def is_trained(java: Java) -> bool:
    """Whether both caches exist."""
    return all(java.aot_cache(main_class).exists() for main_class in _PROGRAMS.values())


def train(java: Java, jars: JarCache, records: RecordFile, called_off: Callable[[], bool]) -> None:
    """Create both caches beside the archives; takes about 20 s on two cores.

    Args:
        java: the programs that get caches.
        jars: the archives.
        records: where the processes are recorded, in case this one is killed.
        called_off: ends the training runs early when it returns true.

    Raises:
        WatchfloorError: a program did not start, or wrote no cache.
        StartCalledOff: `called_off` returned true.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".training-", dir=jars.folder))
    try:
        _Training(java, jars, records, scratch).run(called_off)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Training:
    def __init__(self, java: Java, jars: JarCache, records: RecordFile, scratch: Path) -> None:
        self._java, self._jars, self._records, self._scratch = java, jars, records, scratch
        taken: set[int] = set()
        # As a stack signs in, so that the classes for it are in the caches too.
        port, password = choose([], taken), secrets.token_urlsafe(24)
        self._broker = Broker(java, scratch / "kafka", scratch / "kafka.properties", port, choose([], taken), password)
        self._settings = Settings(kafka=KafkaSettings.model_validate(sign_in(port, password)))
        self._connect = ConnectWorker(java, scratch / "connect.properties", choose([], taken), password)

    def run(self, called_off: Callable[[], bool]) -> None:
        self._broker.prepare(_CLUSTER_ID, called_off)
        self._connect.prepare(self._settings, self._jars.plugin_path())
        children: list[Child] = []
        try:
            children.append(self._start("kafka", 40, {}))
            _await(children[-1], self._broker.answers, called_off)
            children.append(self._start("connect", 30, self._connect.properties))
            _await(children[-1], self._connect.healthy, called_off)
            # Each writes its cache when it ends, which takes a while, so they end at the same time.
            stops = [threading.Thread(target=child.stop) for child in children]
            for stop in stops:
                stop.start()
            while any(stop.is_alive() for stop in stops):
                if called_off():
                    raise StartCalledOff
                stops[0].join(_POLL_S)
                stops[1].join(_POLL_S)
        finally:
            for child in children:
                child.kill()
                child.stop(hard=True)
        for name in _PROGRAMS:
            self._keep(name)

    def _start(self, name: str, stop_rank: int, properties: Mapping[str, str]) -> Child:
        config, output = self._scratch / f"{name}.properties", self._scratch / f"{name}.aot"
        extra = (f"-XX:AOTCacheOutput={output}",)
        argv = self._java.command(_PROGRAMS[name], str(config), heap_mib=_HEAP_MIB, extra=extra, properties=properties)
        child = Child(
            ChildSpec(
                name=f"training-{name}",
                argv=argv,
                log=self._scratch / f"{name}.log",
                stop_rank=stop_rank,
                env=server_environment(),
                stop_timeout_s=_DUMP_TIMEOUT_S,
            ),
            self._records,
        )
        child.start()
        return child

    def _keep(self, name: str) -> None:
        output = self._scratch / f"{name}.aot"
        if not output.exists():
            reason = last_lines(self._scratch / f"{name}.log", 1) or ["no reason given"]
            raise WatchfloorError(f"{name} wrote no ahead-of-time cache ({reason[0]})", _ADVICE)
        output.replace(self._java.aot_cache(_PROGRAMS[name]))


def _await(child: Child, ready: Callable[[], bool], called_off: Callable[[], bool]) -> None:
    wait_until(
        ready,
        what=child.spec.name,
        timeout_s=_START_TIMEOUT_S,
        called_off=called_off,
        alive=lambda: child.check(_ADVICE),
    )
