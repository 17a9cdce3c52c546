"""The Python client as a distribution of its own.

Also of scripts/python_types.py.

Also of scripts/check_python_client.py.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "clients" / "python"


def test_what_it_knows_of_the_contract_is_current() -> None:
    script = ROOT / "scripts" / "python_types.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_needs_websockets_and_msgspec_and_no_newer_than_the_lock_has() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = dict(line.split()[0].split("==") for line in lock.splitlines() if "==" in line and line[0].isalnum())
    requirements = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    assert set(requirements) == {"websockets", "msgspec"}
    assert all(specifier.contains(pinned[name]) for name, specifier in requirements.items())
