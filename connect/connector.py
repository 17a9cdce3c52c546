"""The connector's configuration: connector.json, completed for this database. Does no I/O.

`up`, docker compose and `watchfloor connect apply` all register what `connector_config` returns.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from common.settings.load import Settings
from common.settings.source import SourceSettings
from connect.mapping import CapturedTable, captured_tables
from contracts.rows import UNAVAILABLE
from contracts.topics import TopicNames

_UNSAFE_IN_TOPIC = re.compile(r"[^a-zA-Z0-9._-]")


def connector_config(settings: Settings) -> dict[str, str]:
    """The configuration to register, with the database's password, the reference that replaces it, or neither.

    Raises:
        SettingsError: the table mapping is wrong, see `connect.mapping.captured_tables`.
    """
    source, connect = settings.source, settings.connect
    reference = connect.source_password_reference
    tables = captured_tables(source)
    names = TopicNames(settings.kafka.topic_prefix)
    server_name = _server_name(settings)
    values = {
        "host": source.host,
        "port": str(source.port),
        "database": source.database,
        "user": source.user,
        "password": source.password.get_secret_value() if reference is None else reference,
        "sslmode": source.sslmode_of(source.host),
        "server_name": server_name,
        "slot": source.slot,
        "publication": source.publication,
        # Snapshots read the tables in this order, reference data first.
        "table_include_list": ",".join(_regex(table) for table in tables),
        "message_key_columns": ";".join(f"{_regex(table)}:{table.tenant_column}" for table in tables),
        "poll_interval_ms": str(connect.poll_interval_ms),
        "queue_bytes_max": str(connect.queue_bytes_max),
        "heartbeat_interval_ms": str(connect.heartbeat_interval_ms),
        "replication_factor": str(settings.kafka.replication_factor),
        "unavailable": UNAVAILABLE,
    }
    template: dict[str, str] = json.loads(files("connect").joinpath("connector.json").read_text(encoding="utf-8"))
    config = {name: Template(value).substitute(values) for name, value in template.items()}
    if reference == "":  # the database driver finds it in its own password file
        del config["database.password"]
    config |= _size_limits(source, tables)
    if source.ssl_ca_file:
        config["database.sslrootcert"] = str(source.ssl_ca_file)
    if source.tables:
        # A customer's tables have columns that are not needed here, such as photographs.
        columns = [_regex(table, column.name) for table in tables for column in table.canonical.columns]
        config["column.include.list"] = ",".join(columns)
        config |= _transforms(tables, names, server_name)
    return config


def _server_name(settings: Settings) -> str:
    # With mapped tables, Debezium's own topic names must differ from the canonical ones: a customer's table
    # `client` may be our `tenant`, and the result of one renaming would be renamed again.
    prefix = settings.kafka.topic_prefix
    return f"{prefix}.source" if settings.source.tables else prefix


def _regex(table: CapturedTable, column: str | None = None) -> str:
    """The expression by which Debezium matches a table, or one of its canonical columns."""
    parts = [table.schema, table.name] if column is None else [table.schema, table.name, table.column(column)]
    return "[.]".join(re.escape(part) for part in parts)


def _size_limits(source: SourceSettings, tables: Sequence[CapturedTable]) -> dict[str, str]:
    """Limits of the texts that could make a record too large for Kafka, for all columns, including later ones."""
    json_columns: list[str] = []
    others: list[str] = []
    for table in tables:
        names = [table.column(column.name) for column in table.canonical.columns if column.type == "jsonb"]
        json_columns += [f"{_regex(table)}[.]{re.escape(name)}" for name in names]
        but_not = "".join(f"(?!{re.escape(name)}$)" for name in names)
        others.append(f"{_regex(table)}[.]{but_not}.*")
    limits = {source.text_characters_max: others}
    limits.setdefault(source.json_characters_max, []).extend(json_columns)
    return {f"column.truncate.to.{limit}.chars": ",".join(regexes) for limit, regexes in limits.items() if regexes}


def _transforms(tables: Sequence[CapturedTable], names: TopicNames, server_name: str) -> dict[str, str]:
    """Single message transforms that give the records of mapped tables their canonical topic and key bytes."""
    config: dict[str, str] = {}
    transforms: list[str] = []
    for table in tables:
        transforms.append(transform := f"route_{table.canonical.name}")
        theirs = _UNSAFE_IN_TOPIC.sub("_", f"{server_name}.{table.qualified}")
        config |= {
            f"transforms.{transform}.type": "org.apache.kafka.connect.transforms.RegexRouter",
            f"transforms.{transform}.regex": re.escape(theirs),
            f"transforms.{transform}.replacement": names.captured(table.canonical.name),
        }
    # One renaming for each name of a tenant column; ReplaceField fails on keys without that column.
    predicates: list[str] = []
    columns = sorted({table.tenant_column for table in tables} - {"tenant_id"})
    for number, column in enumerate(columns):
        topics = [names.captured(table.canonical.name) for table in tables if table.tenant_column == column]
        transforms.append(transform := f"key_{number}")
        predicates.append(predicate := f"keyed_{number}")
        config |= {
            f"transforms.{transform}.type": "org.apache.kafka.connect.transforms.ReplaceField$Key",
            f"transforms.{transform}.renames": f"{column}:tenant_id",
            f"transforms.{transform}.predicate": predicate,
            f"predicates.{predicate}.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
            f"predicates.{predicate}.pattern": "|".join(re.escape(topic) for topic in topics),
        }
    config["transforms"] = ",".join(transforms)
    if predicates:
        config["predicates"] = ",".join(predicates)
    return config
