"""Times as text. Reads no clock."""

from datetime import UTC, datetime


def iso_us(microseconds: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC.

    >>> iso_us(1_795_245_000_123_456)
    '2026-11-21T07:10:00.123456Z'
    """
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def iso_ms(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601 UTC."""
    return iso_us(milliseconds * 1000)
