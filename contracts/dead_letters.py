"""Records of `noc.dead-letters`: the original key and value bytes, and headers that say what happened.

An original value that is too large is left out: the dead letter has no value then, its header `value_left_out` says how
many bytes the original has, and the source headers say where it is.

Of a tenant with too many failed records, one dead letter stands for those beyond its limit: its header `records_left_out`
says how many, and its value is JSON: `tenant_id`, `count`, and `offsets`, which for each source topic has the ranges
of their offsets in the partition of the header `source_partition`, both ends inclusive.
"""

from contracts.feed import Header, record_id

REASON_CHARACTERS_MAX = 300
VALUE_LEFT_OUT_HEADER = "value_left_out"
RECORDS_LEFT_OUT_HEADER = "records_left_out"


def dead_letter_headers(
    *, topic: str, partition: int, offset: int, reason: str, detector: str, exception_class: str
) -> list[Header]:
    """Headers of a dead letter.

    Args:
        topic: where the original record is.
        partition: its partition.
        offset: its offset.
        reason: what could not be read or computed; cut at 300 characters.
        detector: which part failed: `decode`, a detector's name, or the handler of the table.
        exception_class: the class of the exception, such as `ValidationError`.
    """
    return [
        ("source_topic", topic.encode()),
        ("source_partition", b"%d" % partition),
        ("source_offset", b"%d" % offset),
        ("reason", reason[:REASON_CHARACTERS_MAX].encode()),
        ("detector", detector.encode()),
        ("exception_class", exception_class.encode()),
        ("correlation_id", record_id(topic, str(partition), offset, detector).encode()),
    ]
