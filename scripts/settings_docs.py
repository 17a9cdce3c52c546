"""Writes docs/settings.md from common/settings.py: every setting, its type, its default, its meaning.

    python scripts/settings_docs.py            writes the file
    python scripts/settings_docs.py --check    exits with 1 when it is not current

Reads the source for the order of sections and the texts below the settings, and the models for defaults.
"""

# ruff: noqa: INP001, T201 - a command, not a module of a package
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from common import settings as module
from common.settings import ENV_PREFIX, Settings

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "secret text",
    "Port": "1 to 65535",
    "Positive": "integer above 0",
}
_HEAD = f"""# Settings

Written by `scripts/settings_docs.py` from `common/settings.py`; do not edit.

Values come from, strongest first: the environment, then the TOML file that `--config` or `WATCHFLOOR_CONFIG`
names, then the defaults below. A setting `name` of a section is `[section]` and `name = …` in the file, and
`{ENV_PREFIX}SECTION__NAME` in the environment; lists and tables there are JSON. A name that no setting has is
refused.

`watchfloor up` writes the settings of its stack to `watchfloor.toml` in the state directory at each start.
"""


def document() -> str:
    """The whole text of docs/settings.md."""
    classes = {node.name: node for node in ast.parse(_source()).body if isinstance(node, ast.ClassDef)}
    parts = [_HEAD]
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"setting {section} is not a section")
        parts.append("\n".join(_section(section, model, classes[model.__name__])))
    parts.append("\n".join(_mapping(classes["TableMapping"])))
    return "\n".join(parts)


def _source() -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def _section(name: str, model: type[BaseModel], node: ast.ClassDef) -> Iterator[str]:
    yield f"## `[{name}]`\n"
    if text := ast.get_docstring(node):
        yield f"{_one_line(text)}\n"
    yield "| setting | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for setting, annotation, text in _settings(node):
        default = _default(model.model_fields[setting])
        yield f"| `{setting}` | {_type(annotation)} | {default} | {_one_line(text)} |"
    yield ""


def _mapping(node: ast.ClassDef) -> Iterator[str]:
    yield "## Each table of `source.tables`\n"
    yield f"{_one_line(ast.get_docstring(node) or '')}\n"
    yield "| setting | type | meaning |"
    yield "| --- | --- | --- |"
    for setting, annotation, text in _settings(node):
        yield f"| `{setting}` | {_type(annotation)} | {_one_line(text)} |"
    yield ""


def _settings(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str]]:
    """(name, annotation, the text below it) in the order of the source."""
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                text = str(following.value.value)
            yield statement.target.id, statement.annotation, text


def _type(annotation: ast.expr) -> str:  # noqa: PLR0911 - one return a form
    """A type as a reader of the documentation would say it."""
    match annotation:
        case ast.Name(name):
            return _TYPES.get(name, name)
        case ast.BinOp(left, ast.BitOr(), ast.Constant(None)):
            return _type(left)
        case ast.Subscript(ast.Name("list"), inner):
            return f"list of {_type(inner)}"
        case ast.Subscript(ast.Name("dict"), _):
            return "table"
        case ast.Subscript(ast.Name("Literal"), inner):
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return ", ".join(f"`{ast.literal_eval(value)}`" for value in values)
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([inner, ast.Call(keywords=limits)])):
            words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "pattern": "matching"}
            said = [f"{words.get(limit.arg or '', limit.arg)} `{ast.literal_eval(limit.value)}`" for limit in limits]
            return f"{_type(inner)} {', '.join(said)}"
    return f"`{ast.unparse(annotation)}`".replace("|", "or")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write or check; the exit code."""
    text = document()
    if "--check" in sys.argv[1:]:
        current = DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == text
        if not current:
            print(f"{DOCUMENT} is not current: run python scripts/settings_docs.py", file=sys.stderr)
        return 0 if current else 1
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
