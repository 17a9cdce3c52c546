"""Why a child ended, in one line."""

import pytest
from support.child_processes import Make
from support.waiting import until

from deploy.embedded.diagnosis import ended_while_starting


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("java.net.BindException: Address already in use", "another program took its port"),
        ("FATAL:  could not open file", "could not open file"),
        ("watchfloor: no Kafka broker answers: start it", "while starting: no Kafka broker answers"),
    ],
)
def test_an_end_while_starting_says_why_in_one_line(make: Make, line: str, expected: str) -> None:
    child = make(f"print({line!r}); print('\\tat some.Java.frame(Error.java:1)'); raise SystemExit(1)")
    child.start()
    until(lambda: child.exit_code() is not None, "its end")
    failure = str(ended_while_starting(child, child.last_words(10)))
    assert expected in failure
    assert "\n" not in failure
