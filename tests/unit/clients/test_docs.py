"""The examples of docs/clients.md work, and its table has every close code."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.typescript import PACKAGE, run, tsc
from support.waiting import until_async

from contracts.messages import ADVICE

__all__ = ["tsc"]

DOCS = (Path(__file__).resolve().parents[3] / "docs" / "clients.md").read_text("utf-8")


def example(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return str(found)


def test_the_python_example_goes_on_where_it_was(
    scripted: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def first(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0)
        visit.anomaly(4, 3, 0, 2)
        visit.stay()

    def second(visit: Any) -> None:
        visit.welcome(seq=4)
        visit.resumed(4, 4)
        visit.anomaly(4, 3, 0, 2)
        visit.anomaly(4, 3, 1, 2)
        visit.stay()

    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example("python"), "docs/clients.md", "exec"), names)  # noqa: S102 - the example itself
    token, store = tmp_path / "token", tmp_path / "position.json"
    token.write_text("t\n")
    gateway = scripted(first, second)

    async def follow_to(position: dict[str, Any]) -> None:
        program = asyncio.create_task(names["follow"](gateway.url, token, store))
        await until_async(
            lambda: store.exists() and json.loads(store.read_text() or "{}") == position, f"{position} is stored"
        )
        program.cancel()
        await asyncio.wait([program])

    asyncio.run(follow_to({"epoch": "e1", "seq": 3, "parts": 1}))
    asyncio.run(follow_to({"epoch": "e1", "seq": 4, "parts": 0}))
    said = capsys.readouterr().out.splitlines()
    assert said == ["anomaly_detected 1", "missing: 2 3 lost", "anomaly_detected 4", "anomaly_detected 4"]
    assert gateway.tokens == ["t", "t"]


def test_the_typescript_example_has_the_right_types(tsc: Path, tmp_path: Path) -> None:
    (tmp_path / "example.ts").write_text(example("ts"))
    options = {"noEmit": True, "rootDir": "/", "paths": {"@watchfloor/client": [str(PACKAGE / "src" / "index.ts")]}}
    project = {"extends": str(PACKAGE / "tsconfig.json"), "compilerOptions": options, "include": ["example.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    run(tsc, "-p", tmp_path)


def test_every_close_code_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\d{4}[^|]*) \|", DOCS, re.MULTILINE)
    codes = {int(code) for row in rows for code in re.findall(r"\b\d{4}\b", row)}
    assert codes == {int(code) for code in ADVICE} | {1006}
