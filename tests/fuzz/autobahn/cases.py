"""Runs the cases of the Autobahn TestSuite against the gateway's sockets, and says which are not plainly passed.

    ./run python tests/fuzz/autobahn/cases.py               all 517, about ten seconds
    ./run python tests/fuzz/autobahn/cases.py '7.*' 9.1.1   some

The cases are driven by kosoku, a maintained runner of the suite's own case files: the suite itself needs Python 2. The other
side is echo_gateway.py. Each result that is not OK has its reason in EXPLAINED and in docs/conformance.md; any other is a
failure. Whether a case is non-strict can hang on what arrives in one read, so OK is right for these too. A case whose result
is unexpected is run once more: the suite waits a second for a close, which on a busy machine may be too short.
"""

import asyncio
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import kosoku

ECHO = Path(__file__).with_name("echo_gateway.py")
CASES = 517
WITHOUT_LOAD = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
"""All but chapters 9 (large messages) and 12 and 13 (compression, which the gateway declines)."""
_EARLY = "the protocol error is seen in the same read as the messages before it, and fails the connection before they are echoed"
_UTF8 = "a message is decoded when it is whole, not fragment by fragment: the failure comes with the last one"
_FREE = "the specification leaves it open"
EXPLAINED: dict[str, tuple[str, str]] = (
    dict.fromkeys(("3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15"), ("NON-STRICT", _EARLY))
    | dict.fromkeys(("6.4.1", "6.4.2", "6.4.3", "6.4.4"), ("NON-STRICT", _UTF8))
    | dict.fromkeys(("7.1.6", "7.13.1", "7.13.2"), ("INFORMATIONAL", _FREE))
    | {"7.1.5": ("FAILED", "a close amidst a fragmented message is answered with 1002 and not with 1000, by the library")}
)  # fmt: skip
"""Case to its result and the reason."""


def run(cases: Sequence[str] | None = None) -> dict[str, str]:
    """Run cases, all by default; case to result."""
    with _echo() as port:
        url = f"ws://127.0.0.1:{port}/ws/noc/"
        results = asyncio.run(_run(url, cases))
        again = [line.partition(":")[0] for line in unexplained(results)]
        return results | (asyncio.run(_run(url, again)) if again else {})


def unexplained(results: dict[str, str]) -> list[str]:
    """What differs from what is expected."""
    return [
        f"{case}: {result}, expected {expected}"
        for case, result in results.items()
        if (expected := EXPLAINED[case][0] if case in EXPLAINED else _plain(case)) != result
        and (case not in EXPLAINED or result != "OK")
    ]


def _plain(case: str) -> str:
    return "UNIMPLEMENTED" if case.startswith(("12.", "13.")) else "OK"


async def _run(url: str, cases: Sequence[str] | None) -> dict[str, str]:
    try:
        results = await kosoku.run_fuzzingclient(url, cases, concurrency=2)
    except kosoku.FailureError as failed:
        results = failed.results
    return {result.case_id: result.behavior.value for result in results}


@contextmanager
def _echo() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen([sys.executable, str(ECHO), str(port)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            yield port
        finally:
            process.kill()


def main() -> int:
    """Run what the command line names; the exit code."""
    results = run(sys.argv[1:] or None)
    counts = Counter(results.values())
    print(f"{len(results)} cases: " + ", ".join(f"{count} {result}" for result, count in counts.most_common()))
    for case, result in results.items():
        if case in EXPLAINED:
            print(f"{case}: {result}: {EXPLAINED[case][1]}")
    wrong = unexplained(results)
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
