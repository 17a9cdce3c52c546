import ast
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric

from streams.metrics import WorkerMetrics

STREAMS = Path(__file__).parents[3] / "streams"


def test_every_metric_is_written_somewhere() -> None:
    names = set(vars(WorkerMetrics(CollectorRegistry()))) - {"registry"}
    used = {
        node.attr
        for file in STREAMS.rglob("*.py")
        if file.name != "metrics.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert names - used == set()


def test_names_follow_prometheus_conventions() -> None:
    for metric in WorkerMetrics(CollectorRegistry()).registry.collect():
        assert isinstance(metric, Metric)
        assert metric.name.startswith("watchfloor_worker_")
        assert metric.documentation.endswith(".")
        assert not metric.name.endswith(("_ms", "_millis", "_count"))
