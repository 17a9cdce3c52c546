import sys

import msgspec
import pytest
from support.feed_samples import NOW, anomaly, instant, ticket

from contracts.feed import FeedRecord, Fence, ProcessedBatch, ProcessedEvent, encode_record, feed_headers
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.rendering import FeedEntry
from gateway.metrics import GatewayMetrics


class Reader:
    def __init__(self) -> None:
        self.metrics = GatewayMetrics()
        self.intake = FeedDecoder(self.metrics)
        self.offset = 0

    def read(self, record: FeedRecord | Fence, generation: int = 1, *, written_after_ms: int = 0) -> FeedEntry | None:
        headers = (
            [("generation", b"%d" % generation)] if isinstance(record, Fence) else feed_headers(record, generation)
        )
        return self.raw(encode_record(record), headers, int(NOW * 1000) + written_after_ms)

    def raw(self, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int = 0) -> FeedEntry | None:
        self.offset += 1
        return self.intake.anomaly(0, self.offset, headers, value, timestamp_ms)

    def clean(
        self, batch: int, generation: int | None = 1, *, tenant: int = 1, partition: int = 0, part: int = 0
    ) -> bool:
        """Whether a batch of clean events is told."""
        event = ProcessedEvent("attendance:1", "attendance", 3, 2, 8.5)
        value = encode_record(ProcessedBatch(tenant_id=tenant, batch=batch, events=[event], part=part))
        headers = [] if generation is None else [("generation", b"%d" % generation)]
        return self.intake.processed(partition, 0, headers, value) is not None

    def counted(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("watchfloor_gateway_feed_records_total", {"result": result}) or 0.0
        )


def test_an_entry_tells_how_long_detection_took_by_the_log_s_clock() -> None:
    entry = Reader().read(anomaly(1, 1, committed=NOW - 0.25), written_after_ms=30)
    assert entry is not None
    assert entry.latency_ms == pytest.approx(280.0)
    assert entry.timestamp == instant(NOW + 0.03).replace("030000Z", "030Z")
    assert entry.commit_time == NOW - 0.25


def test_what_did_not_happen_is_timed_from_when_it_should_have_and_not_from_its_row() -> None:
    record = msgspec.structs.replace(anomaly(1, 1, committed=NOW - 4 * 3_600), time=instant(NOW - 0.3))
    entry = Reader().read(record)
    assert entry is not None
    assert entry.latency_ms == pytest.approx(300.0)


def test_a_writer_s_clock_behind_the_database_s_is_no_negative_latency() -> None:
    entry = Reader().read(anomaly(1, 1, committed=NOW + 1))
    assert entry is not None
    assert entry.latency_ms == 0.0


def test_fences_repeats_and_fenced_off_generations_are_not_shown() -> None:
    reader = Reader()
    shown = [
        reader.read(Fence(generation=1, epoch="e")),
        reader.read(anomaly(1, 1)),
        reader.read(Fence(generation=2, epoch="e")),
        reader.read(anomaly(1, 2), 1),  # a writer that was paused
        reader.read(anomaly(1, 1), 2),  # a repeat by its successor
        reader.read(ticket(1, 2), 2),
        reader.read(anomaly(2, 1), 2),
    ]
    assert [None if entry is None else (entry.record.tenant_id, entry.record.seq) for entry in shown] == [
        None,
        (1, 1),
        None,
        None,
        None,
        (1, 2),
        (2, 1),
    ]
    assert (reader.counted("fence"), reader.counted("skipped"), reader.counted("shown")) == (2, 2, 3)


@pytest.mark.parametrize("forged", [2**53, 2**63 - 1, 10**9, 2_000])
def test_a_forged_number_is_counted_and_hides_no_record_that_follows(forged: int) -> None:
    reader = Reader()
    shown = [reader.read(anomaly(1, seq)) for seq in (7, forged, forged + 1 if forged < 2**62 else forged, 8, 9)]
    assert [entry and entry.record.seq for entry in shown] == [7, None, None, 8, 9]
    assert [entry.lost_from for entry in shown if entry] == [None, None, None]
    assert (reader.counted("not_believed"), reader.counted("skipped")) == (2, 0)


def test_a_forged_number_at_the_start_of_what_is_read_is_not_believed_either() -> None:
    reader = Reader()
    assert reader.read(anomaly(1, 2**53)) is None
    assert reader.read(anomaly(1, 8)) is not None


def test_nothing_is_kept_of_the_past_while_nobody_can_ask_for_it() -> None:
    reader = Reader()
    value = encode_record(anomaly(1, 1))
    before = sys.getrefcount(value)
    assert reader.raw(value, []) is not None
    assert sys.getrefcount(value) == before


def test_each_entry_knows_the_one_before_it() -> None:
    reader = Reader()
    entries = [reader.read(anomaly(1, seq)) for seq in (7, 8, 9)]
    assert [entry and (entry.stored.prev_seq, entry.lost_from) for entry in entries] == [
        (0, None),
        (7, None),
        (8, None),
    ]


def test_skipped_numbers_are_a_hole_that_clients_can_see() -> None:
    reader = Reader()
    reader.read(anomaly(1, 7))
    entry = reader.read(anomaly(1, 12))
    assert entry is not None
    assert (entry.stored.prev_seq, entry.lost_from) == (11, 8)
    assert reader.metrics.registry.get_sample_value("watchfloor_gateway_feed_holes_total") == 1


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b'{"type":"a_type_of_the_future","tenant_id":1,"seq":1}',
        encode_record(msgspec.structs.replace(anomaly(1, 1), tenant_id="1")),
        encode_record(msgspec.structs.replace(anomaly(1, 1), time="yesterday")),
    ],
)
def test_a_record_that_cannot_be_read_is_counted_and_the_feed_goes_on(value: bytes) -> None:
    reader = Reader()
    assert reader.raw(value, []) is None
    assert reader.counted("unreadable") == 1
    assert reader.read(anomaly(1, 1)) is not None


def test_a_generation_that_is_no_number_is_unreadable() -> None:
    reader = Reader()
    assert reader.raw(encode_record(anomaly(1, 1)), [("generation", b"x")]) is None
    assert reader.counted("unreadable") == 1


def test_a_repeated_batch_of_clean_events_is_told_once() -> None:
    reader = Reader()
    told = [reader.clean(batch, tenant=tenant) for tenant, batch in ((1, 0), (1, 0), (1, 1), (2, 1), (1, 0))]
    assert told == [True, False, True, True, False]
    assert reader.clean(1, 2) is False  # the successor repeats it
    assert reader.intake.processed(0, 0, [("generation", b"2")], b"nonsense") is None
    assert (
        reader.intake.processed(
            0, 0, [("generation", b"x")], encode_record(ProcessedBatch(tenant_id=1, batch=9, events=[]))
        )
        is None
    )


@pytest.mark.parametrize("known_by", ["the feed's fence", "the feed's records", "the successor's batches"])
def test_a_fenced_off_worker_s_batch_does_not_displace_the_rightful_one(known_by: str) -> None:
    reader = Reader()
    assert reader.clean(5, 1)
    match known_by:
        case "the feed's fence":
            reader.read(Fence(generation=2, epoch="e"))
        case "the feed's records":
            reader.read(anomaly(1, 1), 2)
        case _:
            assert reader.clean(6, 2)
    assert not reader.clean(7, 1)
    assert not reader.clean(7, None)
    assert reader.clean(7, 2)
    assert reader.clean(7, 1, tenant=2, partition=1)  # another partition has another owner


def test_generations_of_another_log_do_not_count() -> None:
    reader = Reader()
    assert reader.clean(5, 9)
    reader.intake.clear()
    assert reader.clean(1, 1)


def test_a_new_log_starts_from_nothing() -> None:
    reader = Reader()
    reader.read(anomaly(1, 50), 9)
    reader.intake.clear()
    assert reader.read(anomaly(1, 1), 1) is not None


def test_the_parts_of_one_micro_batch_s_clean_events_are_each_told_once() -> None:
    reader = Reader()
    assert [reader.clean(4, part=part) for part in (0, 1, 1, 0, 2)] == [True, True, False, False, True]
    assert not reader.clean(3, part=5)
    assert reader.clean(5)
