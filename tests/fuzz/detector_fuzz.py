"""Absurd rows by hypothesis against every detector, until so many rows have been judged; no exception may leave one.

    ./run python tests/fuzz/detector_fuzz.py               # 100,000 rows: two minutes
    ./run python tests/fuzz/detector_fuzz.py --rows 5000

Prints what was found by finding type, and ends with 1 at the first defect, which hypothesis has made as small as it is.
"""

# ruff: noqa: E402 - a command, which has to find the tests' folder first
import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from hypothesis import HealthCheck, Phase, given, settings
from support.absurd_rows import changes, watched
from support.changes import NOW_US, TOPICS, Worker

from contracts.envelope import Change
from detectors.registry import DETECTORS

_ROWS_EACH = 60
_END_MS = NOW_US // 1000 + 1_000 * 3_600_000


def fuzz(rows_wanted: int) -> Counter[str]:
    """Judge so many rows; returns the findings by type, and under `rows` how many rows there were.

    Raises:
        AssertionError: a detector raised, or broke one of its promises.
    """
    counts: Counter[str] = Counter()

    @settings(
        max_examples=max(1, rows_wanted // (_ROWS_EACH // 2)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(changes(least=_ROWS_EACH // 2, most=_ROWS_EACH))
    def judge(rows: list[Change]) -> None:
        if counts["rows"] >= rows_wanted:
            return
        defects: list[str] = []
        sut = Worker(detectors=watched(DETECTORS, defects), limit=1_000_000, failures_min=1_000_000)  # type: ignore[arg-type]
        sut.run(rows)
        sut.run([], tick_ms=_END_MS)
        assert not defects, "\n".join(defects)
        counts["rows"] += len(rows)
        for record in sut.outputs.get(TOPICS.anomalies, []):
            counts.update(finding["finding_type"] for finding in json.loads(record.value).get("findings", []))

    while counts["rows"] < rows_wanted:
        judge()
    return counts


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    started = time.monotonic()
    counts = fuzz(parser.parse_args().rows)
    rows = counts.pop("rows")
    print(f"{rows} rows, {len(DETECTORS)} detectors, {time.monotonic() - started:.0f} s: no exception left a detector")
    for kind, count in counts.most_common():
        print(f"{count:8d} {kind}")


if __name__ == "__main__":
    main()
