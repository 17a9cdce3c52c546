"""clients/typescript/src/contract.ts says what contracts/ says."""

import subprocess
import sys

from support.paths import ROOT


def test_its_types_are_those_of_the_contract() -> None:
    script = ROOT / "scripts" / "typescript_types.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
