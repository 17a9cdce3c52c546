"""The files for contributors and for GitHub: they parse, and what they name exists."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.paths import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted|registry\.npmjs|maven\.org|ghcr\.io|docker\.io|crates\.io|proxy\.golang"
)


def parsed(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return loaded


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def commands(text: str) -> Iterator[list[str]]:
    """The calls of `./run` in a text, each with its words."""
    for call in re.findall(r"\./run ([^\n)\"';|>]*)", text):
        yield call.split()


def assert_runnable(words: list[str]) -> None:
    """A stage, a script or a program of the environment that exists."""
    match words:
        case ["test", *stages]:
            known = re.findall(r"^ {8}([a-z]+)\)", (ROOT / "tests" / "run.sh").read_text("utf-8"), re.MULTILINE)
            assert set(stages) <= set(known)
        case ["python", script, *_]:
            assert (ROOT / script).is_file(), script
        case [command, *_]:
            groups = project()["dependency-groups"]
            tools = {re.split(r"[^\w-]", each)[0] for group in groups.values() for each in group}
            assert command in {"sync", "version", "lint-imports", *tools}, command
        case _:
            raise AssertionError(words)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_least_rights_time_limits_and_only_github_s_own_actions(path: Path) -> None:
    workflow = parsed(path)
    assert workflow[True]  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/checkout@v4"))
            for words in commands(step.get("run", "")):
                assert_runnable(words)


def test_ci_runs_the_project_s_own_script_and_every_supported_python() -> None:
    jobs = parsed(GITHUB / "workflows" / "ci.yml")["jobs"]
    assert jobs["everything"]["steps"][-1]["run"] == "bash .ci/run"
    assert (ROOT / ".ci" / "run").is_file()
    named = {each.rpartition(" ")[2] for each in project()["project"]["classifiers"] if ":: Python :: 3." in each}
    assert named == {"3.11", *jobs["newer-python"]["strategy"]["matrix"]["python"]}
    client = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text("utf-8"))["project"]
    versions = [each.rpartition(" ")[2] for each in client["classifiers"] if ":: Python :: 3." in each]
    last = jobs["python-client"]["steps"][-1]["run"]
    assert last.split()[3:] == versions


def test_a_release_is_made_of_the_image_that_the_dockerfile_describes() -> None:
    steps = parsed(GITHUB / "workflows" / "release.yml")["jobs"]["build"]["steps"]
    script = "\n".join(step.get("run", "") for step in steps)
    [dockerfile] = re.findall(r"--file (\S+)", script)
    assert (ROOT / dockerfile).is_file()
    assert "release.py dist --image-packages image-packages.txt" in script
    assert script.index("docker build") < script.index("release.py")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_one(path: Path) -> None:
    form = parsed(path)
    assert form["name"]
    assert form["description"]
    inputs = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in inputs} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert len({each["id"] for each in inputs}) == len(inputs)
    assert all(each["attributes"]["label"] for each in inputs)
    assert any(each.get("validations", {}).get("required") for each in inputs)


def test_there_are_forms_for_a_bug_a_wrong_detector_and_a_feature() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature", "wrong-finding"]
    assert "blank_issues_enabled" in parsed(GITHUB / "ISSUE_TEMPLATE" / "config.yml")


def test_every_path_with_an_owner_exists() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text("utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules[0][0] == "*"
    paths = [pattern for pattern, *_ in rules[1:]]
    assert len(set(paths)) == len(paths)
    for pattern, *owners in rules:
        assert owners
        assert all(re.fullmatch(r"@[\w-]+/[\w-]+", owner) for owner in owners)
        assert pattern == "*" or (ROOT / pattern.strip("/")).exists(), pattern


def test_every_hook_calls_a_tool_of_the_project_s_own() -> None:
    config = parsed(ROOT / ".pre-commit-config.yaml")
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        [words] = commands(hook["entry"])
        assert_runnable(words)
        if "files" in hook:
            files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "contracts").glob("*.py")]
            files += [words[1], "common/settings.py"]
            assert any(re.search(hook["files"], file) for file in files)


def test_the_devcontainer_is_built_from_its_dockerfile_with_the_image_s_python() -> None:
    folder = ROOT / ".devcontainer"
    config = json.loads((folder / "devcontainer.json").read_text("utf-8"))
    dockerfile = (folder / config["build"]["dockerfile"]).read_text("utf-8")
    assert f"useradd --create-home --shell /bin/bash {config['remoteUser']}" in dockerfile
    assert_runnable(next(commands(config["postCreateCommand"])))
    [version] = re.findall(r"^FROM python:([\d.]+)", dockerfile, re.MULTILINE)
    image = (ROOT / "deploy" / "compose" / "Dockerfile").read_text("utf-8")
    assert f"BASE=python:{version}-slim" in image
    assert f"python:{version}-" in parsed(GITHUB / "workflows" / "ci.yml")["jobs"]["everything"]["container"]


def test_none_of_them_names_a_package_registry() -> None:
    names = [".editorconfig", ".pre-commit-config.yaml", "SECURITY.md", "pyproject.toml", "requirements.lock", "run"]
    files = [ROOT / name for name in names]
    for folder in (GITHUB, ROOT / ".devcontainer", ROOT / ".ci", ROOT / "clients" / "python"):
        files += [path for path in folder.rglob("*") if path.suffix in {".yml", ".json", ".md", ".toml", ".py", ""}]
    for path in files:
        assert not path.is_file() or not REGISTRIES.search(path.read_text("utf-8")), path


def test_every_shipped_package_is_typed() -> None:
    packages = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for package in [*packages, "clients/python/watchfloor_client"]:
        assert (ROOT / package / "py.typed").is_file(), package


def test_the_editor_s_rules_are_those_of_the_formatter() -> None:
    rules = (ROOT / ".editorconfig").read_text("utf-8")
    assert rules.startswith("root = true\n")
    assert f"max_line_length = {project()['tool']['ruff']['line-length']}\n" in rules


def test_every_lock_of_what_is_shipped_is_audited_when_it_changes() -> None:
    audit = parsed(GITHUB / "workflows" / "audit.yml")
    locks = audit[True]["pull_request"]["paths"]  # YAML 1.1 reads `on` as true
    assert locks == ["requirements.lock", "clients/typescript/package-lock.json"]
    assert all((ROOT / lock).is_file() for lock in locks)
    steps = audit["jobs"]["locks"]["steps"]
    told = "\n".join(step.get("run", "") for step in steps)
    assert re.search(r"pip-audit==[\d.]+ pip-audit -r requirements\.lock .*--require-hashes", told)
    assert "npm audit" in told
