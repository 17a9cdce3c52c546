"""Writes docs/settings.md from common/settings/: every setting, its type, its default, its meaning.

    python scripts/settings_docs.py            writes the file
    python scripts/settings_docs.py --check    exits with 1 if it is not current

The order and the texts come from the sources, the defaults from the models.
"""

# ruff: noqa: INP001 - a command, not a module of a package
import ast
import inspect
from collections.abc import Iterator
from typing import Any

from generated import ROOT, annotated, main
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from common.settings.load import ENV_PREFIX, Settings, group_of
from common.settings.model import Section
from common.settings.source import TableMapping

DOCUMENT = ROOT / "docs" / "settings.md"
_TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "secret text",
    "Port": "1 to 65535",
    "Positive": "integer above 0",
    "NotNegative": "integer at least 0",
}
_HEAD = f"""# Settings

Written by `scripts/settings_docs.py` from `common/settings/`; do not edit.

Values come from, strongest first: the environment, then the TOML file that `--config` or `WATCHFLOOR_CONFIG`
names, then the defaults below. A setting `name` of `[section.group]` stands below that heading in the file, and is
`{ENV_PREFIX}SECTION__GROUP__NAME` in the environment; lists and tables there are JSON. A name that no setting has is
refused: the error suggests the nearest one, and for a name of an earlier release it says the new one.

`watchfloor up` writes the settings of its stack to `watchfloor.toml` in the state directory at each start.
"""


def document() -> str:
    """The whole text of docs/settings.md."""
    parts = [_HEAD]
    for name in Settings.model_fields:
        section = group_of(Settings, name)
        if section is None:
            raise TypeError(f"setting {name} is not a section")
        parts += _section(name, section, level=2)
    parts.append("\n".join(_mapping()))
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel], level: int) -> Iterator[str]:
    """The heading of a section and its settings, then each of its groups."""
    lines = [f"{'#' * level} `[{name}]`\n"]
    if text := inspect.getdoc(model):
        lines.append(f"{_one_line(text)}\n")
    own = [each for each in _settings(model) if group_of(model, each[0]) is None]
    if own:
        lines += ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
        for setting, annotation, text in own:
            default = _default(model.model_fields[setting])
            lines.append(f"| `{setting}` | {_type(annotation)} | {default} | {_one_line(text)} |")
        lines.append("")
    yield "\n".join(lines)
    for setting in model.model_fields:
        if (group := group_of(model, setting)) is not None:
            yield from _section(f"{name}.{setting}", group, level + 1)


def _mapping() -> Iterator[str]:
    yield "## Each table of `source.tables`\n"
    yield f"{_one_line(inspect.getdoc(TableMapping) or '')}\n"
    yield "| setting | type | meaning |"
    yield "| --- | --- | --- |"
    for setting, annotation, text in _settings(TableMapping):
        yield f"| `{setting}` | {_type(annotation)} | {_one_line(text)} |"
    yield ""


def _settings(model: type[BaseModel]) -> Iterator[tuple[str, ast.expr, str]]:
    """(name, annotation, docstring) in the order of the source; those of the base class come first."""
    for base in model.__bases__:
        if issubclass(base, Section) and base is not Section:
            yield from _settings(base)
    yield from annotated(model)


def _type(annotation: ast.expr) -> str:  # noqa: PLR0911 - one return for each form
    """A type in the words of the documentation."""
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


if __name__ == "__main__":
    raise SystemExit(main({DOCUMENT: document()}, "settings_docs.py"))
