"""A state directory of a release in which nobody had to sign in at Kafka: the next start closes it, with its data.

Also of deploy/embedded/broker_user.py and deploy/embedded/startup.py.
"""

import json
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from support.stack import RunningStack
from support.stack_fixtures import passable_directory

from common.paths import default_cache_dir
from deploy.embedded.broker import Broker
from deploy.embedded.jars import JarCache, read_lock
from deploy.embedded.java import Java
from deploy.embedded.startup import cluster_id
from deploy.embedded.state import StateDir

pytestmark = pytest.mark.timeout(300)
LATER = ("kafka_password", "kafka_has_user", "connect_password")


def as_first_released(root: Path) -> None:
    """A state directory with the storage and the memory of a first start of such a release."""
    state = StateDir(root)
    state.open()
    jars = JarCache(default_cache_dir(), read_lock())
    jars.ensure()
    broker = Broker(Java(jars), state.kafka, state.config / "kafka.properties", 1, 2)
    assert broker.prepare(cluster_id(state.saved.identity), lambda: False)
    state.close()
    file = root / "state.json"
    known = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({name: value for name, value in known.items() if name not in LATER}), "utf-8")


def plain_is_taken(stack: RunningStack) -> bool:
    return "SCRAM-SHA-512,PLAIN" in (stack.state_dir / "config" / "kafka.properties").read_text("utf-8")


def test_the_user_is_made_once_and_everybody_signs_in_from_then_on() -> None:
    with passable_directory() as root:
        as_first_released(root / "state")
        with RunningStack.start(root / "state") as first:
            assert plain_is_taken(first), "for this one start"
            topics = AdminClient(first.kafka_client()).list_topics(timeout=10).topics
            password = first.settings.kafka.sasl_password
        with RunningStack.start(root / "state") as second:
            assert not plain_is_taken(second)
            assert AdminClient(second.kafka_client()).list_topics(timeout=10).topics.keys() == topics.keys()
            assert second.settings.kafka.sasl_password == password
