"""The fixtures of the chaos tests: one broker a session, one scene a test."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from chaos.cluster import Cluster
from chaos.scene import Scene


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A broker that tests may kill, if they start it again."""
    directory = Path(tempfile.mkdtemp(prefix="watchfloor-chaos-broker-"))
    made = Cluster(directory)
    try:
        made.start()
        yield made
    finally:
        made.kill()  # nobody wants its data again
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure keeps its logs and topics, and says where: the next run may not fail again."""
    report = yield
    scene = getattr(item, "funcargs", {}).get("scene")
    if report.when == "call" and report.failed and isinstance(scene, Scene):
        try:
            report.sections.append(("chaos", scene.keep()))
        except Exception as error:  # noqa: BLE001 - the failure itself must still be told
            report.sections.append(("chaos", f"not everything could be kept: {error!r}"))
    return report


@pytest.fixture
def seed() -> int:
    """`CHAOS_SEED`, or a fresh one; a failure names it."""
    return int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))


@pytest.fixture
def scene(cluster: Cluster, seed: int, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A run of its own."""
    name = f"{request.node.name.removeprefix('test_')[:20].rstrip('_[').replace('[', '-')}-{secrets.token_hex(2)}"
    with Scene(cluster, name, tmp_path, seed) as made:
        yield made
