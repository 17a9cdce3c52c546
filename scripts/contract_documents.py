"""Writes docs/asyncapi.json and docs/schemas/ from contracts/: every message of the WebSocket contract.

    python scripts/contract_documents.py            writes the files
    python scripts/contract_documents.py --check    exits with 1 if they are not current

Shapes and limits come from the structs, the meaning of the fields from their docstrings. `docs/asyncapi.json` is
an AsyncAPI 3.0 document; `docs/schemas/client` and `docs/schemas/server` hold a self-contained JSON Schema
(2020-12) for each message.
"""

# ruff: noqa: INP001 - a command, not a module of a package
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from generated import ROOT, field_texts, main

from contracts import feed_messages, messages, requests
from contracts.messages import ADVICE, BEARER_PREFIX, SUBPROTOCOL, Reconnect, ServerMessage
from contracts.requests import ClientMessage

DOCS = ROOT / "docs"
ASYNCAPI = DOCS / "asyncapi.json"
SCHEMAS = DOCS / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json = dict[str, Any]

_MODULES = (requests, messages, feed_messages)

CLIENT: tuple[type, ...] = get_args(ClientMessage)
SERVER: tuple[type, ...] = get_args(ServerMessage)
_DASHBOARD, _STREAM = "dashboard", "anomaly-stream"
ONLY_ON: dict[type, str] = {
    feed_messages.DashboardAnomaly: _DASHBOARD,
    feed_messages.StreamAnomaly: _STREAM,
    feed_messages.EventProcessed: _STREAM,
}
"""Server messages of only one endpoint; both endpoints send the others."""
ENDPOINTS = {_DASHBOARD: ("/ws/noc/dashboard/", "/ws/noc/"), _STREAM: ("/ws/noc/anomaly-stream/",)}
ANSWERS: dict[type, tuple[type, ...]] = {
    requests.Authenticate: (messages.ConnectionEstablished, messages.Resumed),
    requests.Ping: (messages.Pong,),
    requests.ClientHeartbeat: (messages.Pong,),
    requests.GetStats: (messages.Stats,),
    requests.SubscribeClient: (messages.Subscribed,),
    requests.SubscribeSite: (messages.Subscribed,),
    requests.Unsubscribe: (messages.Subscribed,),
    requests.Resume: (messages.Resumed,),
    requests.Refresh: (messages.Refreshed,),
    requests.Received: (),
    requests.Seen: (),
}
"""The answers to each client message; instead of these the answer may be `error`."""
HTTP_PATHS: dict[str, Json] = {
    "/": {"200": "the live page"},
    "/healthz": {"200": "the process lives"},
    "/readyz": {"200": "traffic may be sent here", "503": "not yet, or not any more; the body says why"},
    "/api/noc/health/": {
        "200": "every component's state, lag and age",
        "503": "the same, and one of them is unhealthy",
    },
}
REFUSALS = {
    "400": "a token in the address, or no HTTP request at all",
    "403": "the Origin is not in gateway.allowed_origins",
    "404": "no such endpoint",
    "426": "an endpoint that was asked without an upgrade",
    "503": "not ready, too many connections or too many at once; with Retry-After",
}
_MOMENTS = frozenset({"timestamp", "created_at", "expires_at", "since", "at"})


def name_of(kind: type) -> str:
    """The message's name in the documents: its type, with the endpoint if one type has two shapes."""
    tag = tag_of(kind)
    endpoint = ONLY_ON.get(kind)
    return tag if endpoint is None or sum(tag_of(each) == tag for each in SERVER) == 1 else f"{tag}.{endpoint}"


def tag_of(kind: type) -> str:
    """The value of the field `type` of a message."""
    struct: Any = kind
    return str(struct.__struct_config__.tag)


def documents() -> dict[Path, str]:
    """Every file and its text."""
    found = {ASYNCAPI: _text(asyncapi())}
    for folder, kinds in (("client", CLIENT), ("server", SERVER)):
        for kind in kinds:
            found[SCHEMAS / folder / f"{name_of(kind)}.json"] = _text(schema(kind, folder))
    return found


def schema(kind: type, folder: str) -> Json:
    """The schema of one message, with everything that it refers to."""
    components = _components("#/$defs/{name}")
    body = components[kind.__name__]
    needed: dict[str, Json] = {}
    waiting = list(_references(body))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = components[name]
            waiting += _references(components[name])
    head = {"$schema": DIALECT, "$id": f"urn:watchfloor:noc.v1:{folder}:{name_of(kind)}"}
    return head | body | ({"$defs": dict(sorted(needed.items()))} if needed else {})


def asyncapi() -> Json:
    """The AsyncAPI document, from the gateway's point of view: it receives client messages and sends server messages."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Watchfloor gateway",
            "version": "1.0.0",
            "description": (
                "What a program or a page says to the gateway over a WebSocket, and what it hears. One JSON object a "
                "text frame; fields and types may be added within v1. docs/protocol.md explains it."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "development": {"host": "127.0.0.1:8080", "protocol": "ws"},
            "production": {
                "host": "{host}",
                "protocol": "wss",
                "variables": {"host": {"description": "where the gateway, or the balancer before it, listens"}},
            },
        },
        "channels": {
            _channel(endpoint, number): _channel_object(endpoint, path, number)
            for endpoint, paths in ENDPOINTS.items()
            for number, path in enumerate(paths)
        },
        "operations": dict(_operations()),
        "components": {
            "messages": {name_of(kind): _message(kind) for kind in (*SERVER, *_new_client_names())}
            | {f"client.{name_of(kind)}": _message(kind) for kind in CLIENT if kind not in _new_client_names()},
            "schemas": _components("#/components/schemas/{name}"),
        },
        "x-close-codes": [_close_code(code) for code in ADVICE] + [_PROTOCOL_CODE],
        "x-http-paths": HTTP_PATHS,
        "x-handshake-refusals": REFUSALS,
    }


_PROTOCOL_CODE = {
    "code": 1009,
    "meaning": "a message of more than four times the limit, which is not read",
    "reconnect": str(Reconnect.NO),
    "first_delay_s": 0,
}


def _close_code(code: messages.CloseCode) -> Json:
    advice = ADVICE[code]
    return {
        "code": int(code),
        "name": code.name.lower(),
        "meaning": advice.meaning,
        "reconnect": str(advice.reconnect),
        "first_delay_s": advice.delay_s_min,
    }


def _new_client_names() -> list[type]:
    """Client messages whose type no server message has; `heartbeat` is sent in both directions."""
    taken = {name_of(kind) for kind in SERVER}
    return [kind for kind in CLIENT if name_of(kind) not in taken]


def _key(kind: type) -> str:
    return name_of(kind) if kind in SERVER or kind in _new_client_names() else f"client.{name_of(kind)}"


def _message(kind: type) -> Json:
    return {
        "name": tag_of(kind),
        "title": kind.__name__,
        "summary": _first_line(kind),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _channel(endpoint: str, number: int) -> str:
    return endpoint if number == 0 else f"{endpoint}.alias"


def _channel_object(endpoint: str, path: str, number: int) -> Json:
    kinds = [*CLIENT, *(kind for kind in SERVER if ONLY_ON.get(kind, endpoint) == endpoint)]
    return {
        "address": path,
        "title": f"The {endpoint} endpoint" + (", by its short name" if number else ""),
        "messages": {_key(kind): {"$ref": f"#/components/messages/{_key(kind)}"} for kind in kinds},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "properties": {
                        "Origin": {
                            "type": "string",
                            "description": "of browsers; one of gateway.allowed_origins",
                        },
                        "Sec-WebSocket-Protocol": {
                            "type": "string",
                            "description": f"{SUBPROTOCOL}, {BEARER_PREFIX}<token>: signs in with the handshake",
                        },
                    },
                },
                "bindingVersion": "0.1.0",
            }
        },
    }


def _operations() -> Iterator[tuple[str, Json]]:
    for endpoint in ENDPOINTS:
        here = _channel(endpoint, 0)
        for kind in CLIENT:
            answers = [*ANSWERS[kind], messages.ErrorMessage]
            yield (
                f"{here}.{tag_of(kind)}",
                {
                    "action": "receive",
                    "channel": {"$ref": f"#/channels/{here}"},
                    "summary": _first_line(kind),
                    "messages": [_on(here, kind)],
                    "reply": {
                        "channel": {"$ref": f"#/channels/{here}"},
                        "messages": [_on(here, answer) for answer in answers],
                    },
                },
            )
        answering = {kind for answers in ANSWERS.values() for kind in answers} | {messages.ErrorMessage}
        fed = [kind for kind in SERVER if kind not in answering and ONLY_ON.get(kind, endpoint) == endpoint]
        yield (
            f"{here}.feed",
            {
                "action": "send",
                "channel": {"$ref": f"#/channels/{here}"},
                "summary": "The tenant's feed as far as the token and the subscription show it, and notices about it.",
                "messages": [_on(here, kind) for kind in fed],
            },
        )


def _on(channel: str, kind: type) -> Json:
    return {"$ref": f"#/channels/{channel}/messages/{_key(kind)}"}


def _components(template: str) -> dict[str, Json]:
    _, found = msgspec.json.schema_components((*CLIENT, *SERVER), ref_template=template)
    kinds = _structs()
    for name, body in found.items():
        if "description" in body:
            body["description"] = _paragraph(body["description"])
        if "properties" in body:
            _describe(body["properties"], kinds[name])
            if name not in {kind.__name__ for kind in (*CLIENT, requests.ResumePosition)}:
                _all_are_sent(body, kinds[name])
    return dict(sorted(found.items()))


def _describe(properties: dict[str, Json], kind: type) -> None:
    for field, shape in properties.items():
        if shape.get("type") == "string" and field in _MOMENTS:
            shape["format"] = "date-time"
        if text := field_texts(kind).get(field):
            if "$ref" in shape:  # AsyncAPI's dialect ignores fields beside a reference
                shape["allOf"] = [{"$ref": shape.pop("$ref")}]
            shape["description"] = _paragraph(text)


def _all_are_sent(body: Json, kind: type) -> None:
    """Mark all fields of a server message as required, except for a `request_id` that was not given."""
    optional = {field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    body["required"] = [name for name in body["properties"] if name not in optional]
    for shape in body["properties"].values():
        shape.pop("default", None)


def _structs() -> dict[str, type]:
    everything = [value for module in _MODULES for value in vars(module).values()]
    return {each.__name__: each for each in everything if isinstance(each, type) and issubclass(each, msgspec.Struct)}


def _references(body: Any) -> Iterator[str]:
    match body:
        case {"$ref": str() as reference, **rest}:
            yield reference.rsplit("/", 1)[1]
            yield from _references(rest)
        case dict():
            for inner in body.values():
                yield from _references(inner)
        case list():
            for inner in body:
                yield from _references(inner)


def _first_line(kind: type) -> str:
    return _paragraph((inspect.getdoc(kind) or "").partition("\n\n")[0])


def _paragraph(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _text(document: Json) -> str:
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(documents(), "contract_documents.py", SCHEMAS.glob("*/*.json")))
