"""Reading the settings: which value wins, and what is said of a name that no setting has.

Also of common/settings/load.py, common/settings/renamed.py, common/settings/engine.py, common/settings/gateway.py and
common/settings/worker.py.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.errors import SettingsError
from common.settings.load import GENERATED, Settings, load_settings, setting_names
from common.settings.renamed import RENAMED

NAMES = sorted(setting_names())


def variable(name: str) -> str:
    return "WATCHFLOOR_" + name.upper().replace(".", "__")


def said(config: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, environ)
    return str(caught.value)


def file(directory: Path, text: str) -> Path:
    made = directory / "watchfloor.toml"
    made.write_text(text, "utf-8")
    return made


def value_of(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def test_nothing_given_is_the_defaults() -> None:
    assert load_settings(environ={}).model_dump() == Settings.model_construct().model_dump()


def test_the_environment_wins_over_the_file_setting_by_setting(tmp_path: Path) -> None:
    config = file(tmp_path, "[worker.changelog]\ninterval_ms = 7\nkeys_max = 8\n[worker]\ngroup.instance_id = 'a'\n")
    worker = load_settings(config, {"WATCHFLOOR_WORKER__CHANGELOG__INTERVAL_MS": "9"}).worker
    assert (worker.changelog.interval_ms, worker.changelog.keys_max, worker.group.instance_id) == (9, 8, "a")
    assert worker.changelog.batch_bytes_max == Settings.model_construct().worker.changelog.batch_bytes_max


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    config = file(tmp_path, "[gateway.resume]\nmessages_max = 7\n")
    assert load_settings(environ={"WATCHFLOOR_CONFIG": str(config)}).gateway.resume.messages_max == 7


def test_a_group_may_be_one_variable_as_json() -> None:
    settings = load_settings(environ={"WATCHFLOOR_WORKER__STANDBY": '{"mode": "all", "interval_ms": 50}'})
    assert (settings.worker.standby.mode, settings.worker.standby.interval_ms) == ("all", 50)


def test_variables_of_the_launcher_scripts_are_no_settings() -> None:
    load_settings(environ={f"WATCHFLOOR_{name}": "/x" for name in ("VENV", "STATE_DIR", "CACHE_DIR")})


def test_a_policy_is_a_table_of_the_users_own_names() -> None:
    settings = load_settings(environ={"WATCHFLOOR_WORKER__POLICIES__OVERTIME__DAY_HOURS_MAX": "9"})
    assert settings.worker.policies == {"overtime": {"day_hours_max": "9"}}


# --- renamed --------------------------------------------------------------------------------------------------------


def test_every_new_name_exists_and_no_old_one_does() -> None:
    assert set(RENAMED.values()) <= set(NAMES)
    assert not RENAMED.keys() & set(NAMES)
    assert len(set(RENAMED.values())) == len(RENAMED)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_told_the_new_one(old: str, new: str, tmp_path: Path) -> None:
    section, name = old.split(".")
    config = file(tmp_path, f"[{section}]\n{name} = 1\n")
    assert said(config) == f"setting {old} is now {new}: rename it in {config}"
    line = f"setting {variable(old)} is now {variable(new)}: rename it in the environment"
    assert said(**{variable(old): "1"}) == line
    assert said(**{variable(section): f'{{"{name}": 1}}'}) == line


@given(st.lists(st.sampled_from(sorted(RENAMED)), min_size=2, max_size=9, unique=True))
def test_all_old_names_of_a_file_are_said_at_once(tmp_path_factory: pytest.TempPathFactory, olds: list[str]) -> None:
    config = file(tmp_path_factory.mktemp("old"), "".join(f"{old} = 1\n" for old in olds))
    line = said(config)
    assert all(f"setting {old} is now {RENAMED[old]}" in line for old in olds)
    assert line.endswith(f": rename them in {config}")
    assert "\n" not in line


@given(st.sets(st.sampled_from(sorted(RENAMED))))
@example(set(RENAMED))
def test_a_file_of_an_earlier_launcher_is_read_under_the_new_names(
    tmp_path_factory: pytest.TempPathFactory, olds: set[str]
) -> None:
    defaults = Settings.model_construct()
    values = {old: value_of(defaults, RENAMED[old]) for old in olds}
    changed = {old: value + 1 for old, value in values.items() if type(value) is int and value < 20}
    lines = "".join(f"{old} = {value}\n" for old, value in changed.items())
    config = file(
        tmp_path_factory.mktemp("launcher"), f"{GENERATED} at each start: settings.\nlog.level = 'info'\n{lines}"
    )
    settings = load_settings(config, {})
    assert all(value_of(settings, RENAMED[old]) == value for old, value in changed.items())


def test_a_name_that_became_a_group_is_read_too(tmp_path: Path) -> None:
    config = file(tmp_path, f"{GENERATED}\n[worker]\nstandby = 'all'\nstandby_interval_ms = 50\n")
    standby = load_settings(config, {}).worker.standby
    assert (standby.mode, standby.interval_ms) == ("all", 50)


def test_the_command_line_says_it_in_one_line_without_a_trace(tmp_path: Path) -> None:
    config = file(tmp_path, "[worker]\nchangelog_interval_ms = 5\n")
    command = [sys.executable, "-m", "watchfloor", "--config", str(config), "worker"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = f"setting worker.changelog_interval_ms is now worker.changelog.interval_ms: rename it in {config}"
    assert done.returncode != 0
    assert done.stderr.strip().removeprefix("watchfloor: ").removeprefix("error: ") == line


# --- misspelt -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("worker.changelog.intervall_ms", "worker.changelog.interval_ms"),
        ("worker.changelog.interval", "worker.changelog.interval_ms"),
        ("worker.chnagelog.interval_ms", "worker.changelog.interval_ms"),
        ("gateway.prot", "gateway.port"),
        ("gateway.resume_message_max", "gateway.resume.messages_max"),
        ("kafka.bootstrap_server", "kafka.bootstrap_servers"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_one(misspelt: str, meant: str, tmp_path: Path) -> None:
    config = file(tmp_path, f"{misspelt} = 1\n")
    assert (
        said(config) == f"unknown setting {misspelt} in {config}: did you mean {meant}? docs/settings.md has all names"
    )
    assert said(**{variable(misspelt): "1"}) == (
        f"unknown setting {variable(misspelt)} in the environment: "
        f"did you mean {variable(meant)}? docs/settings.md has all names"
    )


@given(st.from_regex(r"[a-z_]{1,20}(\.[a-z_]{1,20}){0,3}", fullmatch=True))
def test_any_unknown_name_is_refused_with_one_line_and_a_name_that_exists(name: str) -> None:
    if name in NAMES or any(each.startswith(f"{name}.") for each in NAMES):
        return
    line = said(**{variable(name): "1"})
    assert "\n" not in line
    if "did you mean " in line:
        assert line.split("did you mean ")[1].split("?")[0] in map(variable, NAMES)


# --- values and files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[worker.tick]\ngrace_ms = 1501\n",
            "setting worker.tick.grace_ms: Input should be less than or equal to 1500",
        ),
        ("[worker.changelog]\nkeys_max = 0\n", "setting worker.changelog.keys_max: Input should be greater than 0"),
        ("[worker]\nchangelog = 5\n", "setting worker.changelog: "),
        ("[source.tables.ticket]\ntable = 'a'\ncolums = {}\n", "unknown setting source.tables.ticket.colums"),
        ("[worker", "cannot be read"),
    ],
)
def test_a_wrong_value_names_its_setting(text: str, words: str, tmp_path: Path) -> None:
    assert words in said(file(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert said(tmp_path / "none.toml") == (
        f"the configuration file {tmp_path / 'none.toml'} is missing: name an existing file with --config"
    )


@pytest.mark.parametrize("text", ["yes", "{", "[1"])
def test_a_group_that_is_no_json_is_refused(text: str) -> None:
    assert "\n" not in said(WATCHFLOOR_WORKER__CHANGELOG=text)
