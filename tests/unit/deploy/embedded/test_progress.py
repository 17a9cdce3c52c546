"""What a start says: plain lines for logs and pipes, a live display that does not stumble over what it is told."""

import io

import pytest
from rich.console import Console

from deploy.embedded.progress import PlainReporter, TerminalReporter, reporter_for_stderr


def test_plain_lines_have_one_for_each_phase_and_a_tenth_of_a_download(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = reporter_for_stderr()
    assert isinstance(reporter, PlainReporter)
    reporter.step("kafka", "starting")
    for arrived in range(0, (20 << 20) + 1, 1 << 19):
        reporter.download("jars", arrived, 20 << 20)
    reporter.done("kafka")
    reporter.event("worker died", ["its last line"])
    reporter.close()
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert (lines[0], lines[-3]) == ("watchfloor: kafka: starting", "watchfloor: kafka: ready")
    assert lines[-2:] == ["watchfloor: worker died", "    its last line"]
    assert [line for line in lines if "MiB" in line] == [
        f"watchfloor: jars: {part} of 20 MiB" for part in range(0, 21, 2)
    ]


def test_the_live_display_takes_events_also_with_brackets_and_after_its_end() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    reporter = TerminalReporter(console)
    reporter.step("postgres", "starting")
    reporter.download("jars", 1 << 20, 2 << 20)
    reporter.step("postgres", "almost there")
    reporter.done("postgres")
    reporter.event("a line with [bold]brackets[/]", ["and [one/] more"])
    reporter.close()
    reporter.step("gateway", "starting")
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue()
    assert "[bold]brackets[/]" in words
    assert "and [one/] more" in words
