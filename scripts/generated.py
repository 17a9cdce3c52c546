"""Writes generated files or checks them, and reads what the sources say of their fields, for the scripts beside it."""

# ruff: noqa: INP001, T201 - used by commands, not a module of a package
import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import zip_longest
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent


def main(found: Mapping[Path, str], command: str, others: Iterable[Path] = ()) -> int:
    """Write the files that are not current, or with `--check` only name them; return the exit code.

    Args:
        found: every file and its text.
        command: the script that writes them, for the message.
        others: files of the same folder; those that are not among `found` are left from before and are deleted.
    """
    stale = [path for path, text in found.items() if not path.is_file() or path.read_text("utf-8") != text]
    left = sorted(set(others) - found.keys())
    if "--check" in sys.argv[1:]:
        for path in stale + left:
            print(f"{path} is not current: run python scripts/{command}", file=sys.stderr)
        return int(bool(stale + left))
    for path in left:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found[path], encoding="utf-8")
    return 0


def annotated(kind: type) -> Iterator[tuple[str, ast.expr, str]]:
    """(name, annotation, docstring) of a class's own fields in the order of the source; "" if there is no docstring."""
    body = getattr(ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0], "body", [])
    for statement, following in zip_longest(body, body[1:]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            said = following.value if isinstance(following, ast.Expr) else None
            yield statement.target.id, statement.annotation, str(said.value) if isinstance(said, ast.Constant) else ""


@cache
def field_texts(struct: type) -> dict[str, str]:
    """The docstrings of the fields of a struct and its base classes."""
    bases = reversed(struct.__mro__[: struct.__mro__.index(msgspec.Struct)])
    return {name: text for base in bases for name, _, text in annotated(base) if text}
