"""docker-compose.kafka.yml describes the chain that `watchfloor up` runs.

No container engine runs where the tests run: the file is held against the Compose Specification's schema
and against the files and settings that the embedded stack uses.
"""

import base64
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from support.paths import ROOT

from common.kafka import java_config
from common.settings.kafka import KafkaSettings
from common.settings.load import load_settings, setting_names
from deploy.embedded import lock_jars
from deploy.embedded.broker import broker_overrides, sign_in, user_overrides

FILE = ROOT / "docker-compose.kafka.yml"
SHARED = ROOT / "deploy" / "config"
LOGIN = ROOT / "deploy" / "compose" / "connect-login.conf"
CLIENTS = ("", "producer.", "consumer.", "admin.")
SCHEMA = ROOT / "tests" / "golden" / "compose" / "compose-spec.json"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Container path to host path of the files that are mounted from the repository."""
    pairs = [volume.removesuffix(":ro").split(":") for volume in service.get("volumes", [])]
    return {target: source for source, target in pairs if source.startswith(".")}


def properties(path: Path) -> dict[str, str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(compose)) == []
    # The schema does refuse: a misspelt key is not taken for an extension.
    broken = compose | {"services": compose["services"] | {"kafka": {"imagee": "x"}}}
    assert list(Draft202012Validator(schema).iter_errors(broken))


def test_it_is_the_whole_chain(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "kafka", "connect", "setup", "worker", "gateway"}
    assert services["worker"]["command"] == ["worker"]
    assert services["gateway"]["command"] == ["gateway"]
    assert services["setup"]["command"][-2:] == ["connect", "apply"]


@pytest.mark.parametrize(
    ("service", "file", "target"),
    [
        ("postgres", "postgresql.conf", "/etc/postgresql/postgresql.conf"),
        ("kafka", "kafka.properties", "/etc/watchfloor/kafka.properties"),
        ("connect", "connect.properties", "/etc/watchfloor/connect.properties"),
    ],
)
def test_the_servers_read_the_files_of_the_embedded_stack(
    services: dict[str, Any], service: str, file: str, target: str
) -> None:
    assert (ROOT / mounts(services[service])[target]).resolve() == SHARED / file
    # Which the embedded stack indeed reads, by the same name.
    assert any(file in path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "embedded").glob("*.py"))


def test_every_mounted_file_exists_and_is_read_only(services: dict[str, Any]) -> None:
    for service in services.values():
        for source in mounts(service).values():
            assert (ROOT / source).is_file(), source
        for volume in service.get("volumes", []):
            assert not volume.startswith(".") or volume.endswith(":ro")


def test_what_is_mounted_is_what_the_programs_are_told_to_read(services: dict[str, Any]) -> None:
    assert "config_file=/etc/postgresql/postgresql.conf" in services["postgres"]["command"]
    for name in ("kafka", "connect"):
        told = services[name]["command"][0] + str(services[name]["environment"])
        for target in mounts(services[name]):
            assert target in told
        for secret in services[name]["secrets"]:
            assert f"/run/secrets/{secret}" in told + str(services[name]["healthcheck"]) + LOGIN.read_text("utf-8")
    for name in ("setup", "gateway"):
        service = services[name]
        config = service.get("environment", {}).get("WATCHFLOOR_CONFIG") or service["command"][1]
        assert config.removeprefix("/run/secrets/") in service["secrets"]


def test_images_are_pinned_and_of_the_versions_of_the_embedded_stack(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}
    for image in images.values():
        assert re.search(r":\d+\.\d+", image), f"{image} has no version"
        assert "latest" not in image
    assert images["kafka"] == f"apache/kafka:{lock_jars.KAFKA_VERSION}"
    assert images["connect"] == f"quay.io/debezium/connect:{lock_jars.DEBEZIUM_VERSION}"
    assert images["postgres"].startswith("postgres:18.")


def test_the_addresses_and_factors_are_those_that_the_shared_file_leaves_open(services: dict[str, Any]) -> None:
    given = properties(ROOT / "deploy" / "compose" / "kafka-overrides.properties").keys()
    assert given == broker_overrides(1, 2, Path("/x")).keys()
    shared = properties(SHARED / "kafka.properties")
    assert not given & shared.keys()
    assert shared["process.roles"] == "broker,controller"
    [identity] = re.findall(r"--cluster-id (\S+)", services["kafka"]["command"][0])
    assert len(base64.urlsafe_b64decode(identity + "==")) == 16


def test_connects_overrides_are_only_what_its_shared_file_leaves_open() -> None:
    overrides = properties(ROOT / "deploy" / "compose" / "connect-overrides.properties")
    shared = properties(SHARED / "connect.properties")
    assert not set(overrides) & set(shared)
    assert shared["group.id"]
    assert shared["connector.client.config.override.policy"] == "None"
    assert "config.providers" not in overrides | shared, "a connector's configuration can read files"


def test_settings_in_the_environment_exist_and_agree(services: dict[str, Any]) -> None:
    names = set(setting_names())
    for service in services.values():
        for variable in service.get("environment", {}):
            if not variable.startswith("WATCHFLOOR_") or variable == "WATCHFLOOR_CONFIG":
                continue
            assert variable.removeprefix("WATCHFLOOR_").lower().replace("__", ".") in names
    # Topics, partitions and names are the defaults everywhere, so they are the same everywhere.
    text = FILE.read_text(encoding="utf-8")
    for name in ("TOPIC_PREFIX", "PARTITIONS", "PUBLICATION", "SLOT"):
        assert name not in text


def test_everything_published_is_on_the_loopback_interface(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"postgres", "gateway"}
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any(service.get("network_mode") for service in services.values())


def test_only_who_must_reaches_kafka_connect_and_the_database(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"]["stream"] == compose["networks"]["capture"] == {"internal": True}
    networks = {name: set(service["networks"]) for name, service in services.items()}
    assert networks["kafka"] == {"capture", "stream"}
    together = {name for name, of_it in networks.items() if of_it & networks["connect"]}
    assert together == {"postgres", "kafka", "connect", "setup"}
    assert not networks["postgres"] & (networks["worker"] | networks["gateway"])


def test_services_have_the_least_privileges(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert bool(service.get("cap_add")) == (name == "postgres")
        assert service["read_only"] is True, name
        assert service["tmpfs"][0].startswith("/tmp:"), name  # noqa: S108 - in the container


def test_long_running_services_have_a_health_check_and_start_in_order(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) == (name != "setup")
        for needed, condition in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed == "setup" else "service_healthy"
            assert condition == {"condition": expected}
    assert "setup" in services["worker"]["depends_on"]
    assert "setup" in services["gateway"]["depends_on"]


def test_no_password_is_in_the_file_and_each_secret_goes_only_where_it_is_needed(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|DSN", name):
                assert value == "" or re.fullmatch(r"/run/secrets/\w+", value)
    assert {name: service.get("secrets", []) for name, service in services.items()} == {
        "postgres": ["postgres_password"],
        "kafka": ["kafka.properties", "kafka-user.args"],
        "connect": ["connect.properties", "connect-users.properties", "connect.curlrc", "capture.pgpass"],
        "setup": ["setup.toml", "kafka_password", "connect_password"],
        "worker": ["kafka_password"],
        "gateway": ["gateway.toml", "kafka_password"],
    }
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    for secret in compose["secrets"].values():
        assert secret["file"].startswith("./.compose-secrets/")
    # Where a wheel of the project would not pick them up.
    assert ".compose-secrets" not in packages["targets"]["wheel"]["packages"]


@pytest.fixture
def make_secrets(tmp_path: Path) -> Callable[[], Path]:
    """Run make-secrets.sh in a copy of the repository's layout; returns the directory of the secrets."""
    script = tmp_path / "deploy" / "compose" / "make-secrets.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes((ROOT / "deploy" / "compose" / script.name).read_bytes())

    def run() -> Path:
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        return tmp_path / ".compose-secrets"

    return run


def contents(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def test_the_secrets_are_made_once_and_fit_together(make_secrets: Callable[[], Path], compose: dict[str, Any]) -> None:
    directory = make_secrets()
    files = contents(directory)
    assert contents(make_secrets()) == files
    assert set(files) == {".gitignore", *compose["secrets"]}
    assert files[".gitignore"] == "*\n"
    assert files["postgres_password"] in files["setup.toml"]
    assert files["capture.pgpass"].split(":")[-1].strip() in files["setup.toml"]
    for name in ("kafka.properties", "kafka-user.args", "connect.properties"):
        assert files["kafka_password"] in files[name]
    for name in ("connect-users.properties", "connect.curlrc"):
        assert files["connect_password"] in files[name]
    # The broker and Connect are told in these files what the embedded stack tells its own.
    assert properties(directory / "kafka.properties") == user_overrides(files["kafka_password"])
    clients = properties(directory / "connect.properties")
    told = java_config(KafkaSettings.model_validate(sign_in(1, files["kafka_password"])))
    assert clients == {prefix + name: told[name] for prefix in CLIENTS for name in told}
    assert len(files["postgres_password"]) == 48
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_lost_secret_is_made_anew_with_those_that_hold_the_same_password(make_secrets: Callable[[], Path]) -> None:
    directory = make_secrets()
    before = contents(directory)
    (directory / "capture.pgpass").unlink()
    (directory / "connect.properties").unlink()
    after = contents(make_secrets())
    assert after["capture.pgpass"].split(":")[-1].strip() in after["setup.toml"]
    assert after["capture.pgpass"] != before["capture.pgpass"]
    assert after["kafka_password"] in after["connect.properties"]
    assert after["connect_password"] == before["connect_password"]
    assert after["gateway.toml"] == before["gateway.toml"]


def test_the_settings_of_the_secrets_are_settings(
    make_secrets: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_secrets()
    monkeypatch.setenv("WATCHFLOOR_SOURCE__HOST", "postgres")
    setup = load_settings(directory / "setup.toml")
    assert setup.source.host == "postgres"
    assert setup.source.admin_dsn is not None
    assert setup.source.password.get_secret_value()
    gateway = load_settings(directory / "gateway.toml")
    assert gateway.auth.hs256_secret is not None
    assert len(gateway.auth.hs256_secret.get_secret_value()) >= 32
