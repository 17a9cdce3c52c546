"""Names, keys and the partitioner that every producer of a tenant-keyed topic shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import CAPTURED_TABLES, Retention, TopicNames, murmur2, partition_of, tenant_key


# The values of Kafka's own UtilsTest.testMurmur2, as signed 32-bit numbers.
@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed % 2**32


@given(st.integers(min_value=1, max_value=2**63 - 1), st.integers(min_value=1, max_value=64))
def test_a_tenant_has_one_partition_and_it_exists(tenant_id: int, partitions: int) -> None:
    partition = partition_of(tenant_id, partitions)
    assert 0 <= partition < partitions
    assert partition == partition_of(tenant_id, partitions)


def test_tenants_spread_over_the_partitions() -> None:
    counts = [0, 0, 0, 0]
    for tenant_id in range(1, 1001):
        counts[partition_of(tenant_id, 4)] += 1
    assert min(counts) > 200


def test_a_key_is_debeziums_bytes() -> None:
    assert tenant_key(3) == b'{"tenant_id":3}'


def test_every_topic_is_provisioned_once_under_the_prefix() -> None:
    names = TopicNames("noc")
    specs = names.all_specs()
    assert len({spec.name for spec in specs}) == len(specs)
    assert all(spec.name.startswith("noc.") for spec in specs)
    assert {names.captured(table) for table in CAPTURED_TABLES} < {spec.name for spec in specs}


def test_a_tenant_keyed_change_topic_is_never_compacted() -> None:
    # Compaction would keep one change a tenant.
    specs = {spec.name: spec.retention for spec in TopicNames().all_specs()}
    settings = {"tenant", "policy"}
    assert all(specs[f"noc.public.{table}"] is Retention.FEED for table in CAPTURED_TABLES if table not in settings)
    assert all(specs[f"noc.public.{table}"] is Retention.SETTINGS for table in settings)
    assert specs["noc.anomalies"] is Retention.FEED
