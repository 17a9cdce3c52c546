"""Writes clients/python/watchfloor_client/contract.py from contracts/: the part of contract v1 that the client uses.

    python scripts/python_types.py            writes the file
    python scripts/python_types.py --check    exits with 1 if it is not current

Close codes and their advice are copied unchanged. The messages that a feed yields become `TypedDict`s, so that
type checkers and editors know the fields of plain dictionaries.
"""

# ruff: noqa: INP001 - a command, not a module of a package
import ast
import inspect
import json
from collections.abc import Iterator, Sequence
from enum import Enum
from textwrap import indent
from types import ModuleType
from typing import Any, ClassVar, get_args

import msgspec
from contract_types import Field, TypeWriter
from generated import ROOT, main

from contracts import feed, messages

MODULE = ROOT / "clients" / "python" / "watchfloor_client" / "contract.py"
_HEAD = '''"""What the client knows of contract v1: close codes with their advice, and the messages that a feed yields.

Written by scripts/python_types.py from contracts/; do not edit.
"""

from enum import IntEnum, StrEnum
from typing import Literal, NotRequired, TypedDict

import msgspec

'''
_COPIED = {feed: ["GENERATION_HEADER"], messages: ["CloseCode", "Reconnect", "Advice", "ADVICE"]}
_ABOUT_THE_SEQUENCE = {
    messages.ConnectionEstablished,
    messages.Resumed,
    messages.GapMessage,
    messages.Heartbeat,
    messages.Pong,
    messages.Refreshed,
}
"""Messages that the client handles itself and does not yield."""


class _Python(TypeWriter):
    plain: ClassVar = {int: "int", float: "float", str: "str", bool: "bool", type(None): "None"}

    def literal(self, values: Sequence[Any]) -> str:
        return f"Literal[{', '.join(_constant(each) for each in values)}]"

    def array(self, inner: str) -> str:
        return f"list[{inner}]"

    def mapping(self, key: str, value: str) -> str:
        return f"dict[{key}, {value}]"

    def enum(self, enum: type[Enum]) -> str:
        rows = "".join(f"    {_constant(member.value)},\n" for member in enum)
        return f"{enum.__name__} = Literal[\n{rows}]\n{_text(enum.__doc__)}"

    def struct(self, struct: type[msgspec.Struct], members: Sequence[Field]) -> str:
        del self.declared[struct.__name__]  # declared after its parts, because Python evaluates annotations at once
        tag = struct.__struct_config__.tag
        lines = [_text(struct.__doc__), ""] + ([] if tag is None else [f"type: {self.literal([tag])}"])
        for each in members:
            lines.append(f"{each.name}: " + (f"NotRequired[{each.type}]" if each.unset else each.type))
            lines += [_text(each.text)] if each.text else []
        return f"class {struct.__name__}(TypedDict):\n" + indent("\n".join(lines), "    ")


def document() -> str:
    """The whole text of contract.py."""
    writer = _Python()
    names = [writer.typed(each) for each in get_args(messages.ServerMessage) if each not in _ABOUT_THE_SEQUENCE]
    union = "FeedMessage = (\n    " + "\n    | ".join(names) + "\n)\n" + _text("What `Message.body` is, by its `type`.")
    copied = [text for module, names in _COPIED.items() for text in _source_of(module, names)]
    return _HEAD + "\n\n\n".join([*copied, *writer.declared.values(), union]) + "\n"


def _source_of(module: ModuleType, names: Sequence[str]) -> Iterator[str]:
    """The source text of these definitions in their module."""
    source = inspect.getsource(module)
    for node in ast.parse(source).body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [node])[0]
        if getattr(target, "id", getattr(target, "name", None)) in names:
            yield ast.get_source_segment(source, node) or ""


def _constant(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _text(text: str | None) -> str:
    cleaned = inspect.cleandoc(text or "")
    return f'"""{cleaned}\n"""' if "\n" in cleaned else f'"""{cleaned}"""'


if __name__ == "__main__":
    raise SystemExit(main({MODULE: document()}, "python_types.py"))
