"""What tests share: real servers and scripted ones, an in-memory log, rows and records, and the checks of what they say."""

import pytest

pytest.register_assert_rewrite("support.log_contract")
