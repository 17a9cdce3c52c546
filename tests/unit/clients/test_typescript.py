"""The TypeScript client: its types, its tests, and the JavaScript that the page loads.

Node comes with the test dependencies, the compiler from package-lock.json: a machine needs neither beforehand.

Also of scripts/typescript_types.py and scripts/contract_types.py.
"""

import json
from pathlib import Path

from support.paths import ROOT
from support.typescript import PACKAGE, run, tsc

from contracts.messages import ADVICE

__all__ = ["tsc"]

PAGE = ROOT / "gateway" / "static" / "client"


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
