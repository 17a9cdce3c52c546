"""Writes `jars.lock`: run `python -m deploy.embedded.lock_jars` after changing a version below.

Owns the choice of versions. Resolves the dependency graph with jgo, downloads every archive once and
records its size and SHA-256, so that `jars` needs no resolution. Never runs as part of a start.
"""

import hashlib
import tempfile
from pathlib import Path

from deploy.embedded.jars import DEBEZIUM, RUNTIME, fetch_with_jgo

KAFKA_VERSION = "4.3.1"
DEBEZIUM_VERSION = "3.6.0.Final"

_WANTED = {
    RUNTIME: (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}",
        f"org.apache.kafka:connect-basic-auth-extension:{KAFKA_VERSION}",
        # Nothing is logged without a binding of the slf4j 1.7 API; this one is a single small archive.
        "org.slf4j:slf4j-simple:1.7.36",
    ),
    DEBEZIUM: (f"io.debezium:debezium-connector-postgres:{DEBEZIUM_VERSION}",),
}
# Every plugin gets these from Connect's own class path; copies in the plugin would only be scanned.
_PROVIDED = frozenset(
    {"connect-api", "kafka-clients", "slf4j-api", "jakarta.ws.rs-api", "zstd-jni", "lz4-java", "snappy-java"}
)

_HEAD = """\
# Every Java archive of the embedded stack: set, coordinate, bytes, SHA-256.
# Written by `python -m deploy.embedded.lock_jars`; do not edit.
"""


def main() -> None:
    """Resolve, download and write the lock beside this file."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, coordinates in _WANTED.items():
            for coordinate in _resolve(coordinates, Path(scratch) / "poms"):
                if name == DEBEZIUM and coordinate.split(":")[1] in _PROVIDED:
                    continue
                content = fetch_with_jgo(coordinate, Path(scratch) / "jars", lambda _bytes: None).read_bytes()
                lines.append(f"{name} {coordinate} {len(content)} {hashlib.sha256(content).hexdigest()}\n")
    Path(__file__).with_name("jars.lock").write_text(_HEAD + "".join(sorted(lines)), "utf-8")


def _resolve(coordinates: tuple[str, ...], cache: Path) -> list[str]:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache, timeout=60)
    inputs, others = context.resolver.resolve([context.create_dependency(name) for name in coordinates])
    needed = [*inputs, *(one for one in others if one.scope in ("compile", "runtime"))]
    return [f"{one.groupId}:{one.artifactId}:{one.version}" for one in needed]


if __name__ == "__main__":
    main()
