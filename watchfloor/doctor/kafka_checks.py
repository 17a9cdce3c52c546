"""Checks of Kafka and Kafka Connect: whether they answer, the topics, and the connector's task."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from common.errors import WatchfloorError
from common.kafka import librdkafka_config, unreachable
from connect.apply import connector_state
from contracts.topics import TopicNames
from watchfloor.doctor.checks import Report, Target, in_thread


@in_thread
def probe_kafka(target: Target, report: Report) -> None:
    """Check that a broker answers and that every topic exists with the same partition count."""
    kafka = target.settings.kafka
    try:
        cluster = AdminClient(librdkafka_config(kafka)).list_topics(timeout=target.timeout_s * 0.4)
    except KafkaException:
        report.failed("reachable", unreachable(kafka))
        report.unknown("not reachable", "topics")
        return
    report.ok("reachable", f"{kafka.bootstrap_servers}, {len(cluster.brokers)} broker")
    names = [spec.name for spec in TopicNames(kafka.topic_prefix).all_specs()]
    missing = [name for name in names if name not in cluster.topics]
    uneven = {
        name: len(cluster.topics[name].partitions)
        for name in names
        if name in cluster.topics and len(cluster.topics[name].partitions) != kafka.partitions
    }
    if missing:
        report.problem("topics", f"missing: {', '.join(missing)}", "run `watchfloor connect apply`, which creates them")
    elif uneven:
        counts = ", ".join(f"{name} has {count}" for name, count in uneven.items())
        report.problem(
            "topics",
            f"partition counts differ from kafka.partitions={kafka.partitions}: {counts}",
            "set kafka.partitions to the cluster's count; all topics need the same",
        )
    else:
        report.ok("topics", f"{len(names)} topics with {kafka.partitions} partitions each")


@in_thread
def probe_connect(target: Target, report: Report) -> None:
    """Check that Connect answers and that the connector's task runs; the connector's own state does not count."""
    settings = target.settings
    try:
        state = connector_state(settings)
    except WatchfloorError as failure:
        report.failed("reachable", failure)
        report.unknown("not reachable", "connector task")
        return
    report.ok("reachable", settings.connect.url)
    name = settings.connect.connector
    if state is None:
        report.problem("connector task", f"connector {name} is not registered", "run `watchfloor connect apply`")
    elif state.failure is not None:
        report.problem(
            "connector task",
            f"connector {name} failed: {state.failure}",
            "correct the cause, then run `watchfloor connect apply`",
        )
    elif not state.running:
        tasks = ", ".join(task.state for task in state.tasks) or "no task"
        report.problem("connector task", f"connector {name}: {tasks}", "wait a moment, then read Connect's log")
    else:
        report.ok("connector task", f"{name} RUNNING")
