"""The registry: which modules are detectors, and in which order their findings are written."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import detectors
from detectors.registry import DETECTORS, find_detectors, named

DETECTOR = """
from detectors.interface import NOTHING, Detector

class Made(Detector):
    name = "{name}"
    tables = ("ticket",)

    def judge(self, state, event, policy):
        return None, NOTHING

DETECTOR = Made()
"""
Package = Callable[[dict[str, str]], ModuleType]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Makes a package of these files; a folder in their paths is a package too."""

    def make(files: dict[str, str]) -> ModuleType:
        for path, text in files.items():
            file = tmp_path / "made" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for folder in [tmp_path / "made", *(tmp_path / "made").rglob("*/")]:
            (folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module("made")

    yield make
    for name in [each for each in sys.modules if each.partition(".")[0] == "made"]:
        del sys.modules[name]


def test_every_module_in_a_folder_of_detectors_is_one() -> None:
    root = Path(detectors.__path__[0])
    folders = [folder for folder in root.iterdir() if (folder / "__init__.py").exists() and folder.name != "shared"]
    files = {file.stem for folder in folders for file in folder.glob("*.py")} - {"__init__"}
    assert {each.name for each in DETECTORS} == files
    assert len(files) == len(DETECTORS)


def test_detectors_are_found_in_the_folders_but_not_among_their_helpers(package: Package) -> None:
    made = package(
        {
            "work/b_new.py": DETECTOR.format(name="b_new"),
            "work/helpers/c_new.py": "",
            "alpha/c_new.py": DETECTOR.format(name="c_new"),
            "shared/numbers.py": "",
            "interface.py": "",
        }
    )
    assert [each.name for each in find_detectors(made)] == ["b_new", "c_new"]


def test_detectors_with_a_place_in_the_order_come_before_those_without(package: Package) -> None:
    names = ["a_new", "wrong_person", "data_quality", "z_new"]
    made = package({f"work/{name}.py": DETECTOR.format(name=name) for name in names})
    assert [each.name for each in find_detectors(made)] == ["data_quality", "wrong_person", "a_new", "z_new"]


@pytest.mark.parametrize("text", ["", DETECTOR.format(name="another_name"), "DETECTOR = None"])
def test_a_module_without_a_detector_of_its_name_is_an_error(package: Package, text: str) -> None:
    with pytest.raises(TypeError, match=r"made\.work\.lost has no DETECTOR"):
        find_detectors(package({"work/lost.py": text}))


def test_two_detectors_of_one_name_are_an_error(package: Package) -> None:
    twice = {f"{folder}/same.py": DETECTOR.format(name="same") for folder in ("alpha", "work")}
    with pytest.raises(TypeError, match=r"two detectors are called same: made\.work\.same"):
        find_detectors(package(twice))


def test_named_ones_come_in_the_order_of_the_registry_and_unknown_ones_are_refused() -> None:
    assert [each.name for each in named(["overtime", "wrong_person"])] == ["wrong_person", "overtime"]
    assert named(None) is DETECTORS
    with pytest.raises(KeyError, match="no_such_detector"):
        named(["overtime", "no_such_detector"])
