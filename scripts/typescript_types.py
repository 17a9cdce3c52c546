"""Writes clients/typescript/src/contract.ts from contracts/: the messages of v1 as types, the close codes as a table.

    python scripts/typescript_types.py            writes the file
    python scripts/typescript_types.py --check    exits with 1 when it is not current

What has a default may be left out by a client; a server leaves out only what is unset.
"""

# ruff: noqa: INP001, T201 - a command, not a module of a package
import ast
import inspect
import json
import sys
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UnsetType
from msgspec.structs import fields

from contracts import feed_messages, messages, requests

MODULE = Path(__file__).resolve().parent.parent / "clients" / "typescript" / "src" / "contract.ts"
_HEAD = """// Written by scripts/typescript_types.py from contracts/; do not edit.
// The messages of contract v1, as JSON has them, and what to do after each close code.
"""
_UNIONS = {
    "SequencedMessage": feed_messages.SequencedMessage,
    "AnswerMessage": messages.AnswerMessage,
    "NoticeMessage": messages.NoticeMessage,
    "ServerMessage": messages.ServerMessage,
    "ClientMessage": requests.ClientMessage,
}
_PLAIN = {int: "number", float: "number", str: "string", bool: "boolean", type(None): "null"}


class _Writer:
    def __init__(self) -> None:
        self.declared: dict[str, str] = {}

    def union(self, name: str, members: Any) -> None:
        names = [self.typed(member) for member in get_args(members)]
        self.declared[name] = f"export type {name} =\n  | " + "\n  | ".join(names) + ";"

    def typed(self, hint: Any) -> str:  # noqa: PLR0911 - one return a form
        """A type of Python as one of TypeScript; structs and enums are declared on the way."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in _PLAIN:
            return _PLAIN[hint]
        if origin in (Union, types.UnionType):
            return " | ".join(dict.fromkeys(self.typed(each) for each in arguments if each is not UnsetType))
        if origin is Literal:
            return " | ".join(json.dumps(each) for each in arguments)
        if origin is list:
            inner = self.typed(arguments[0])
            return f"readonly ({inner})[]" if " | " in inner else f"readonly {inner}[]"
        if origin is dict:
            return f"Readonly<Record<{self.typed(arguments[0])}, {self.typed(arguments[1])}>>"
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self._enum(hint)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self._struct(hint)
        raise TypeError(f"no type of TypeScript is known for {hint}")

    def _enum(self, enum: type[Enum]) -> str:
        values = " | ".join(json.dumps(member.value) for member in enum)
        self.declared[enum.__name__] = f"{_comment(enum.__doc__, '')}export type {enum.__name__} = {values};"
        return enum.__name__

    def _struct(self, struct: type[msgspec.Struct]) -> str:
        name = struct.__name__
        if name in self.declared:
            return name
        self.declared[name] = ""  # keeps the place of its first use
        hints, texts = get_type_hints(struct), _field_texts(struct)
        lines = []
        tag = struct.__struct_config__.tag
        if tag is not None:
            lines.append(f"  readonly type: {json.dumps(tag)};")
        from_client = struct.__module__ == requests.__name__
        for field in fields(struct):
            defaulted = field.default is not NODEFAULT or field.default_factory is not NODEFAULT
            optional = UnsetType in get_args(hints[field.name]) or (from_client and defaulted)
            mark = "?" if optional else ""
            lines.append(f"{_comment(texts.get(field.name), '  ')}  readonly {field.encode_name}{mark}: ")
            lines[-1] += f"{self.typed(hints[field.name])};"
        body = "\n".join(lines)
        self.declared[name] = f"{_comment(struct.__doc__, '')}export interface {name} {{\n{body}\n}}"
        return name


def document() -> str:
    """The whole text of contract.ts."""
    writer = _Writer()
    for name, members in _UNIONS.items():
        writer.union(name, members)
    return "\n\n".join([_HEAD, *writer.declared.values(), *_constants()]) + "\n"


def _constants() -> Iterator[str]:
    yield f"export const SUBPROTOCOL = {json.dumps(messages.SUBPROTOCOL)};"
    yield f"export const BEARER_PREFIX = {json.dumps(messages.BEARER_PREFIX)};"
    policies = " | ".join(json.dumps(each.value) for each in messages.Reconnect)
    yield (
        f"{_comment(messages.Advice.__doc__, '')}export interface Advice {{\n"
        f"  readonly reconnect: {policies};\n"
        "  readonly delay_s_min: number;\n"
        "  readonly meaning: string;\n}"
    )
    rows = "\n".join(
        f"  {int(code)}: {json.dumps(msgspec.to_builtins(advice))}," for code, advice in messages.ADVICE.items()
    )
    yield f"/** By close code. */\nexport const ADVICE: Readonly<Record<number, Advice>> = {{\n{rows}\n}};"


def _comment(text: str | None, indent: str) -> str:
    return f"{indent}/** {' '.join(text.split())} */\n" if text else ""


def _field_texts(struct: type) -> dict[str, str]:
    """The texts below the fields of a struct and of those that it comes from."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__[: struct.__mro__.index(msgspec.Struct)]):
        node = ast.parse(inspect.getsource(base)).body[0]
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, node.body[1:], strict=False):
            named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if named and told:
                found[statement.target.id] = str(following.value.value)
    return found


def main() -> int:
    """Write or check; the exit code."""
    text = document()
    if "--check" in sys.argv[1:]:
        current = MODULE.is_file() and MODULE.read_text(encoding="utf-8") == text
        if not current:
            print(f"{MODULE} is not current: run python scripts/typescript_types.py", file=sys.stderr)
        return 0 if current else 1
    MODULE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
