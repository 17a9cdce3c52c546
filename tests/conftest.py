"""What all tests share: one real stack, started when the first test asks for it, quiet logs,
and the scan of what all processes wrote."""

import pytest
from support.log_scan import pytest_sessionfinish, pytest_terminal_summary
from support.stack_fixtures import connection, make_token, stack

from common.logs import configure_logs

__all__ = ["connection", "make_token", "pytest_sessionfinish", "pytest_terminal_summary", "quiet_logs", "stack"]


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    """Engine and gateway log through structlog, which prints everything until it is configured."""
    configure_logs("error", process="tests")
