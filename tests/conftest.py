"""What all tests share: quiet logs, so that a failure shows what failed."""

import pytest

from watchfloor.logs import configure_logs


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    """Engine and gateway log through structlog, which prints everything until it is configured."""
    configure_logs("error", process="tests")
