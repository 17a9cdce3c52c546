import ast
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric

from streams.metrics import TENANTS_MAX, WorkerMetrics

STREAMS = Path(__file__).parents[3] / "streams"


def test_every_metric_is_written_somewhere() -> None:
    names = {name for name in vars(WorkerMetrics(CollectorRegistry())) if not name.startswith("_")} - {"registry"}
    used = {
        node.attr
        for file in STREAMS.rglob("*.py")
        if file.name != "metrics.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert names - used - {"rate_limited"} == set()  # counted through `count_rate_limited`


def test_tenants_beyond_the_bound_share_one_series() -> None:
    metrics = WorkerMetrics(CollectorRegistry())
    for tenant in range(TENANTS_MAX + 10):
        metrics.count_rate_limited(tenant)
        metrics.count_rate_limited(0)
    value = metrics.registry.get_sample_value
    assert value("watchfloor_worker_rate_limited_total", {"tenant": "0"}) == TENANTS_MAX + 11
    assert value("watchfloor_worker_rate_limited_total", {"tenant": "other"}) == 10


def test_names_follow_prometheus_conventions() -> None:
    for metric in WorkerMetrics(CollectorRegistry()).registry.collect():
        assert isinstance(metric, Metric)
        assert metric.name.startswith(("watchfloor_worker_", "process_"))  # the latter are the client library's
        assert metric.documentation.endswith(".")
        assert not metric.name.endswith(("_ms", "_millis", "_count"))
