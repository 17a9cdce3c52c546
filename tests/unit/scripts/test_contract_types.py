"""The walk over the contract's types, with a language that has nothing but names."""

import importlib.util
from collections.abc import Sequence
from enum import Enum, StrEnum
from types import ModuleType
from typing import Annotated, Any, Literal

import generated
import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType
from support.paths import ROOT


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_types", ROOT / "scripts" / "contract_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Colour(StrEnum):
    RED = "red"


class Inner(msgspec.Struct):
    first: int = msgspec.field(name="from")


class Base(msgspec.Struct):
    time: str
    """When it was."""


class Outer(Base, tag="outer", kw_only=True):
    inner: list[Inner]
    colour: Colour | UnsetType = UNSET
    size: Annotated[int, Meta(ge=0)] | None = None
    """How large it is."""
    kind: dict[str, Literal["a", "b"]]


@pytest.fixture
def writer(module: ModuleType) -> Any:
    class Names(module.TypeWriter):  # type: ignore[name-defined, misc]
        plain = {int: "I", str: "S", type(None): "-"}  # noqa: RUF012

        def literal(self, values: Sequence[Any]) -> str:
            return "/".join(values)

        def array(self, inner: str) -> str:
            return f"[{inner}]"

        def mapping(self, key: str, value: str) -> str:
            return f"{key}->{value}"

        def enum(self, enum: type[Enum]) -> str:
            return self.literal([each.value for each in enum])

        def struct(self, struct: type, members: Sequence[Any]) -> str:
            fields = (f"{each.name}{'?' * each.unset}{'=' * each.defaulted} {each.type}" for each in members)
            return f"{struct.__name__.lower()}: {'; '.join(fields)}"

    return Names()


def test_a_struct_is_declared_with_all_that_it_refers_to_in_the_order_of_first_use(writer: Any) -> None:
    assert writer.typed(list[Outer]) == "[Outer]"
    assert writer.typed(Outer) == "Outer"
    assert writer.declared == {
        "Outer": "outer: time S; inner [Inner]; colour?= Colour; size= I | -; kind S->a/b",
        "Inner": "inner: from I",
        "Colour": "red",
    }
    assert list(writer.declared) == ["Outer", "Inner", "Colour"]


def test_what_stands_below_a_field_is_its_text_also_where_it_is_inherited(writer: Any) -> None:
    texts = {field.name: field.text for field in writer._fields(Outer)}
    assert texts == {"time": "When it was.", "size": "How large it is.", "inner": None, "colour": None, "kind": None}


def test_a_type_without_a_form_is_refused(writer: Any) -> None:
    with pytest.raises(TypeError, match=r"set\[int\]"):
        writer.typed(set[int])


def test_a_file_that_is_not_current_is_named_with_the_command(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "types"
    monkeypatch.setattr("sys.argv", ["x", "--check"])
    assert generated.main({file: "a\n"}, "x.py") == 1
    assert f"{file} is not current: run python scripts/x.py" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["x"])
    assert generated.main({file: "a\n"}, "x.py") == 0
    monkeypatch.setattr("sys.argv", ["x", "--check"])
    assert generated.main({file: "a\n"}, "x.py") == 0
