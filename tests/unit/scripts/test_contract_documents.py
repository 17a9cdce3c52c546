"""docs/asyncapi.json and docs/schemas say what contracts/ says, and are what they claim to be."""

import importlib.util
import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import generated
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from support.paths import ROOT

from contracts.messages import ADVICE
from contracts.requests import CLIENT_TYPES
from gateway.sockets.handshake import ENDPOINTS

SCRIPT = ROOT / "scripts" / "contract_documents.py"
SPECIFICATION = ROOT / "tests" / "golden" / "asyncapi" / "asyncapi-3.0.0.json"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_documents", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def document() -> Json:
    loaded: Json = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(SPECIFICATION.read_text("utf-8")))


def test_the_documents_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_document_is_noticed(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {tmp_path / path.name: text for path, text in script.documents().items() if "server" in str(path)}
    for path, text in found.items():
        path.write_text(text, "utf-8")
    monkeypatch.setattr("sys.argv", ["x", "--check"])
    assert generated.main(found, "x.py") == 0
    changed = tmp_path / "pong.json"
    changed.write_text(changed.read_text("utf-8").replace("timestamp", "time"), "utf-8")
    assert generated.main(found, "x.py") == 1
    assert capsys.readouterr().err == f"{changed} is not current: run python scripts/x.py\n"


def test_a_document_of_a_message_that_is_gone_is_named_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone.json"
    gone.touch()
    monkeypatch.setattr("sys.argv", ["x", "--check"])
    assert generated.main({}, "x.py", tmp_path.glob("*")) == 1
    monkeypatch.setattr("sys.argv", ["x"])
    assert generated.main({}, "x.py", tmp_path.glob("*")) == 0
    assert not gone.exists()


def test_it_is_an_asyncapi_3_document(document: Json, specification: Draft7Validator) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert [error.message for error in specification.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("operations", "dashboard.ping", "action"), "shout"),
        (("components", "messages", "pong", "payload"), 7),
        (("components", "schemas", "Pong", "properties", "timestamp", "type"), "word"),
        (("channels", "dashboard", "bindings", "ws", "method"), "PUT"),
        (("info", "title"), None),
    ],
)
def test_the_specification_notices_what_is_wrong(
    document: Json, specification: Draft7Validator, place: tuple[str, ...], value: object
) -> None:
    changed = deepcopy(document)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    assert list(specification.iter_errors(changed))


def test_every_reference_leads_somewhere(document: Json) -> None:
    def references(value: Any) -> list[str]:
        match value:
            case {"$ref": str() as reference}:
                return [reference]
            case dict():
                return [each for inner in value.values() for each in references(inner)]
            case list():
                return [each for inner in value for each in references(inner)]
        return []

    found = references(document)
    assert len(found) > 100
    for reference in found:
        inner: Any = document
        for name in reference.removeprefix("#/").split("/"):
            inner = inner[name]


def test_it_knows_every_endpoint_message_and_close_code(document: Json, script: ModuleType) -> None:
    assert {channel["address"] for channel in document["channels"].values()} == set(ENDPOINTS)
    for channel in document["channels"].values():
        heard = {document["components"]["messages"][key]["name"] for key in channel["messages"]}
        assert heard >= CLIENT_TYPES | {"connection_established", "anomaly_detected", "gap"}
    asked = {operation["messages"][0]["$ref"] for operation in document["operations"].values()}
    assert len(asked) == 2 * (len(CLIENT_TYPES) + 1)
    assert {code["code"] for code in document["x-close-codes"]} == {int(code) for code in ADVICE} | {1009}
    for kind in (*script.CLIENT, *script.SERVER):
        assert document["components"]["schemas"][kind.__name__]["description"]


def test_schemas_are_json_schema_2020_12(script: ModuleType) -> None:
    kinds = {path: json.loads(text) for path, text in script.documents().items() if path != script.ASYNCAPI}
    assert len(kinds) == len(script.CLIENT) + len(script.SERVER)
    for schema in kinds.values():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)
    assert len({schema["$id"] for schema in kinds.values()}) == len(kinds)
