"""Which Pythons the client is checked on; the check itself is the stage `clients`."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from support.paths import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_python_client", ROOT / "scripts" / "check_python_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(file: Path, script: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_all_versions_that_the_client_names_are_checked(script: ModuleType) -> None:
    assert script.supported() == ["3.11", "3.12", "3.13", "3.14"]


def test_a_python_is_found_on_the_path(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert script.interpreter("3.99") is None
    found = program(tmp_path / "python3.99", "echo 3.99")
    assert script.interpreter("3.99") == found


@pytest.mark.parametrize("stand_in", ["exit 127", "echo 3.98"])
def test_a_stand_in_on_the_path_is_passed_over_for_pyenv_s_own(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    program(tmp_path / "python3.99", stand_in)
    assert script.interpreter("3.99") is None
    own = program(tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python", "echo 3.99")
    assert script.interpreter("3.99") == own


def test_one_that_was_asked_for_and_is_not_there_is_a_failure(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["3.99"]) == 1
    assert capsys.readouterr().out == "Python 3.99: FAILED: not on this machine\n"
