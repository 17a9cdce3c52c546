"""Writes clients/typescript/src/contract.ts from contracts/: the messages of v1 as types, the close codes as a table.

    python scripts/typescript_types.py            writes the file
    python scripts/typescript_types.py --check    exits with 1 if it is not current

A client may leave out a field that has a default; a server leaves out only fields that are unset.
"""

# ruff: noqa: INP001 - a command, not a module of a package
import json
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, ClassVar, get_args

import msgspec
from contract_types import Field, TypeWriter
from generated import ROOT, main

from contracts import feed_messages, messages, requests

MODULE = ROOT / "clients" / "typescript" / "src" / "contract.ts"
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


class _TypeScript(TypeWriter):
    plain: ClassVar = {int: "number", float: "number", str: "string", bool: "boolean", type(None): "null"}

    def union(self, name: str, members: Any) -> None:
        names = [self.typed(member) for member in get_args(members)]
        self.declared[name] = f"export type {name} =\n  | " + "\n  | ".join(names) + ";"

    def literal(self, values: Sequence[Any]) -> str:
        return " | ".join(json.dumps(each) for each in values)

    def array(self, inner: str) -> str:
        return f"readonly ({inner})[]" if " | " in inner else f"readonly {inner}[]"

    def mapping(self, key: str, value: str) -> str:
        return f"Readonly<Record<{key}, {value}>>"

    def enum(self, enum: type[Enum]) -> str:
        values = self.literal([member.value for member in enum])
        return f"{_comment(enum.__doc__, '')}export type {enum.__name__} = {values};"

    def struct(self, struct: type[msgspec.Struct], members: Sequence[Field]) -> str:
        tag, from_client = struct.__struct_config__.tag, struct.__module__ == requests.__name__
        lines = [] if tag is None else [f"  readonly type: {json.dumps(tag)};"]
        for each in members:
            mark = "?" if each.unset or (from_client and each.defaulted) else ""
            lines.append(f"{_comment(each.text, '  ')}  readonly {each.name}{mark}: {each.type};")
        body = "\n".join(lines)
        return f"{_comment(struct.__doc__, '')}export interface {struct.__name__} {{\n{body}\n}}"


def document() -> str:
    """The whole text of contract.ts."""
    writer = _TypeScript()
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


if __name__ == "__main__":
    raise SystemExit(main({MODULE: document()}, "typescript_types.py"))
