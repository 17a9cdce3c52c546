"""clients/python/watchfloor_client/contract.py says what contracts/ says."""

import subprocess
import sys
from typing import get_args, get_type_hints

import msgspec
from support.paths import ROOT

from contracts import messages
from contracts.feed import GENERATION_HEADER
from watchfloor_client import contract


def test_it_is_current() -> None:
    script = ROOT / "scripts" / "python_types.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_close_codes_and_their_advice_are_the_contract_s() -> None:
    assert msgspec.to_builtins(contract.ADVICE) == msgspec.to_builtins(messages.ADVICE)
    assert contract.GENERATION_HEADER == GENERATION_HEADER


def test_a_reader_knows_every_field_of_every_message_that_it_is_given() -> None:
    structs = {struct.__name__: struct for struct in get_args(messages.ServerMessage)}
    dictionaries = {each.__name__: each for each in get_args(contract.FeedMessage)}
    assert structs.keys() - dictionaries.keys() == {
        "ConnectionEstablished", "Resumed", "GapMessage", "Heartbeat", "Pong", "Refreshed",
    }  # fmt: skip
    for name, dictionary in dictionaries.items():
        hints = get_type_hints(dictionary)
        assert hints.keys() == {field.encode_name for field in msgspec.structs.fields(structs[name])} | {"type"}
        assert get_args(hints["type"]) == (structs[name].__struct_config__.tag,)
