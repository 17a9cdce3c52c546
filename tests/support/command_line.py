"""The command line as a process, and the state directory that it meets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
def watchfloor() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`watchfloor("token", "--tenant", "1", …)` runs the command line to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
        return subprocess.run(
            [sys.executable, "-m", "watchfloor", *arguments],
            env=inherited | {"NO_COLOR": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory as `up` leaves it when it is stopped: settings, but nothing runs."""
    (tmp_path / "watchfloor.toml").write_text(f'[auth]\nhs256_secret = "{SECRET}"\n')
    return tmp_path
