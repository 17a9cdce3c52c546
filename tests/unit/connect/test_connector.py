"""The configuration that is registered."""

import re

from pydantic import SecretStr

from common.settings.connect import ConnectSettings
from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from common.settings.source import SourceSettings, TableMapping
from connect.connector import connector_config
from contracts.topics import CAPTURED_TABLES


def settings(**source: object) -> Settings:
    return Settings(source=SourceSettings.model_validate({"password": SecretStr("s3cret"), **source}))


MAPPED = {
    "tenant": TableMapping(table="crm.client", columns={"tenant_id": "id"}),
    "client": TableMapping(table="crm.tenant", columns={"tenant_id": "bu_id"}),
    "ticket": TableMapping(table="crm.Ticket$1", columns={"tenant_id": "bu_id"}),
    "site": TableMapping(table="crm.site"),
}


def routed(config: dict[str, str], topic: str) -> str:
    """The topic after the routers, applied in their order as Connect does."""
    for name in config["transforms"].split(","):
        if config[f"transforms.{name}.type"].endswith("RegexRouter") and re.fullmatch(
            config[f"transforms.{name}.regex"], topic
        ):
            topic = config[f"transforms.{name}.replacement"]
    return topic


def test_every_value_is_filled_in() -> None:
    for config in (connector_config(settings()), connector_config(settings(tables=MAPPED))):
        for name, value in config.items():
            assert value, name
            assert not re.search(r"(?<!\\)\$[a-z]", value.replace("ReplaceField$Key", "")), name


def test_every_table_is_keyed_by_its_tenant() -> None:
    config = connector_config(settings())
    keys = dict(part.split(":") for part in config["message.key.columns"].split(";"))
    assert set(keys.values()) == {"tenant_id"}
    for table in CAPTURED_TABLES:
        assert [regex for regex in keys if re.fullmatch(regex, f"public.{table}")]
        assert [regex for regex in config["table.include.list"].split(",") if re.fullmatch(regex, f"public.{table}")]


def test_without_a_mapping_debeziums_own_topic_names_are_the_canonical_ones() -> None:
    config = connector_config(settings())
    assert config["topic.prefix"] == "noc"
    assert "transforms" not in config


def test_mapped_tables_get_their_canonical_topic_even_where_names_are_swapped() -> None:
    config = connector_config(settings(tables=MAPPED))
    prefix = config["topic.prefix"]
    assert routed(config, f"{prefix}.crm.client") == "noc.public.tenant"
    assert routed(config, f"{prefix}.crm.tenant") == "noc.public.client"
    assert routed(config, f"{prefix}.crm.site") == "noc.public.site"
    assert routed(config, f"{prefix}.crm.Ticket_1") == "noc.public.ticket"  # Debezium replaces what topics cannot hold


def test_a_customers_tenant_column_is_renamed_in_the_key_of_its_topics_only() -> None:
    config = connector_config(settings(tables=MAPPED))
    renames = {}
    for name in config["transforms"].split(","):
        if config[f"transforms.{name}.type"].endswith("ReplaceField$Key"):
            predicate = config[f"transforms.{name}.predicate"]
            renames[config[f"transforms.{name}.renames"]] = config[f"predicates.{predicate}.pattern"]
            assert predicate in config["predicates"].split(",")
    assert set(renames) == {"bu_id:tenant_id", "id:tenant_id"}
    assert re.fullmatch(renames["id:tenant_id"], "noc.public.tenant")
    assert not re.fullmatch(renames["id:tenant_id"], "noc.public.client")
    assert re.fullmatch(renames["bu_id:tenant_id"], "noc.public.ticket")
    assert not re.fullmatch(renames["bu_id:tenant_id"], "noc.public.site")


def test_texts_are_cut_shorter_than_json_and_other_columns_never_twice() -> None:
    config = connector_config(settings(tables={"site": TableMapping(table="crm.bt", columns={"geofence": "fence"})}))
    texts = config["column.truncate.to.32768.chars"].split(",")
    documents = config["column.truncate.to.500000.chars"].split(",")

    def matches(regexes: list[str], column: str) -> bool:
        return any(re.fullmatch(regex, f"crm.bt.{column}") for regex in regexes)

    assert matches(texts, "name")
    assert matches(texts, "added_yesterday")
    assert not matches(texts, "fence")
    assert matches(documents, "fence")
    assert not matches(documents, "name")


def test_of_a_customers_table_only_the_columns_that_are_read_are_captured() -> None:
    regexes = connector_config(settings(tables=MAPPED))["column.include.list"].split(",")
    assert any(re.fullmatch(regex, "crm.Ticket$1.bu_id") for regex in regexes)
    assert not any(re.fullmatch(regex, "crm.Ticket$1.photo") for regex in regexes)
    assert "column.include.list" not in connector_config(settings())


def test_a_password_reference_stands_in_for_the_password() -> None:
    plain = connector_config(settings())
    assert plain["database.password"] == "s3cret"
    referring = Settings(
        source=SourceSettings(password=SecretStr("s3cret")),
        connect=ConnectSettings(source_password_reference="${env:SOURCE_PASSWORD}"),
    )
    config = connector_config(referring)
    assert config["database.password"] == "${env:SOURCE_PASSWORD}"
    assert "s3cret" not in str(config)


def test_the_guarantees_that_the_worker_builds_on_are_set() -> None:
    config = connector_config(Settings(kafka=KafkaSettings(topic_prefix="shadow", replication_factor=3)))
    assert config["topic.prefix"] == "shadow"
    assert config["topic.creation.default.replication.factor"] == "3"
    assert config["tombstones.on.delete"] == "false"
    assert config["extended.headers.enabled"] == "false"  # nobody reads them, and each record would pay for three
    assert config["errors.tolerance"] == "none"
    assert config["event.converting.failure.handling.mode"] == "fail"
    assert config["publication.autocreate.mode"] == "disabled"
    assert config["offset.mismatch.strategy"] == "trust_offset"


def test_a_database_elsewhere_is_reached_by_tls_with_its_certificate_checked() -> None:
    assert connector_config(settings())["database.sslmode"] == "prefer"
    assert connector_config(settings(host="db.example.com"))["database.sslmode"] == "verify-full"
    assert connector_config(settings(host="db.example.com", sslmode="disable"))["database.sslmode"] == "disable"
