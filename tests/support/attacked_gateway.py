"""What the hostile tests share: a gateway with other limits, and the check that an attack left no trace."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from support.gateway_process import FeedWriter, GatewayProcess

RSS_GROWTH_BYTES_MAX = 48 << 20
"""Of a gateway that was attacked: buffers of the sockets and the allocator's reserve, and no more."""


class TunedGateway(GatewayProcess):
    """A gateway with other settings than the tests' own.

    Args:
        feed: its log.
        directory: for its configuration and log.
        settings: section to its lines, in TOML; they replace the same names.
    """

    def __init__(self, feed: FeedWriter, directory: Path, settings: dict[str, dict[str, str]]) -> None:
        super().__init__(feed, directory)
        text = self.config.read_text("utf-8")
        for section, values in settings.items():
            for name in values:
                text = re.sub(rf"(?m)^ *{name} = .*\n", "", text)
            lines = "".join(f"{name} = {value}\n" for name, value in values.items())
            text = text.replace(f"[{section}]\n", f"[{section}]\n{lines}")
        self.config.write_text(text, "utf-8")


@contextmanager
def unharmed(gateway: GatewayProcess) -> Iterator[None]:
    """Whatever happens inside: the same process serves a good client afterwards, is no larger, and has no trace in its log."""
    assert gateway.process is not None
    process = psutil.Process(gateway.process.pid)
    before, said = process.memory_info().rss, len(gateway.words())
    yield
    with gateway.sign_in(1) as good:
        good.say(type="ping", request_id="still there")
        assert good.hear()["request_id"] == "still there"
    assert gateway.process.poll() is None
    assert process.memory_info().rss - before < RSS_GROWTH_BYTES_MAX
    words = gateway.words()[said:]
    assert "Traceback" not in words, words[-4_000:]
    assert "failed" not in words, words[-4_000:]
