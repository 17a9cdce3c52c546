"""Storage of Kafka that cannot be used is told before it is started."""

from pathlib import Path

import pytest

from common.errors import WatchfloorError
from deploy.embedded.broker import Broker
from deploy.embedded.jars import JarCache
from deploy.embedded.java import Java
from deploy.embedded.startup import cluster_id


def never() -> bool:
    return False


@pytest.mark.parametrize("meta", [None, "", "version=1\ncluster.id=other\nnode.id=1\n", "node.id=2\n", "\x00\x01"])
def test_damaged_kafka_storage_is_told(tmp_path: Path, meta: str | None) -> None:
    data = tmp_path / "kafka"
    data.mkdir()
    if meta is not None:
        (data / "meta.properties").write_text(meta)
    broker = Broker(Java(JarCache(tmp_path, [])), data, tmp_path / "kafka.properties", 1, 2)
    with pytest.raises(WatchfloorError, match=r"damaged: .*meta\.properties"):
        broker.prepare(cluster_id("mine"), never)
