"""The generated settings: what the user set, with the launcher's addresses on top, read back the same."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings.load import load_settings
from deploy.embedded.config import child_environment, keep_loopback_direct, merged, server_environment, to_toml

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
LEAVES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])) | st.integers(-(2**62), 2**62) | st.booleans()
TREES = st.dictionaries(NAMES, st.dictionaries(NAMES, LEAVES | st.lists(LEAVES, max_size=3), max_size=4), max_size=4)


@given(TREES)
def test_toml_reads_back_as_it_was_written(tree: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tree)) == tree


def test_mapped_tables_survive_the_way_through_the_file(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[source.tables.ticket]\ntable = "ops.Trouble"\ncolumns = {ticket_no = "Number No"}\n')
    mine = load_settings(config, environ={})
    settings = merged(mine, {"gateway": {"port": 1234}}, tmp_path / "out.toml")
    assert settings.source.tables == mine.source.tables


def test_children_read_their_settings_from_the_file_and_nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFLOOR_GATEWAY__PORT", "1")
    monkeypatch.setenv("WATCHFLOOR_CONFIG", "/mine.toml")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx9g")
    monkeypatch.setenv("PGDATA", "/elsewhere")
    child = child_environment(WORKER__METRICS__PORT="5")
    assert {name for name in child if name.startswith("WATCHFLOOR_")} == {"WATCHFLOOR_WORKER__METRICS__PORT"}
    assert not {"JAVA_TOOL_OPTIONS", "PGDATA", "WATCHFLOOR_CONFIG"} & server_environment().keys()


@pytest.mark.parametrize(("before", "after"), [("", "127.0.0.1,localhost"), ("corp", "corp,127.0.0.1,localhost")])
def test_loopback_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    monkeypatch.setenv("NO_PROXY", before)
    monkeypatch.setenv("no_proxy", "")
    keep_loopback_direct()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == after
