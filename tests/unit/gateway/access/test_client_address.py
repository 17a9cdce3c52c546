import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SettingsError
from gateway.access.client_address import client_address, networks, rate_key

NEAR = networks(["127.0.0.1", "10.0.0.0/24", "fd00::/8"])
addresses = st.one_of(st.ip_addresses(), st.text(max_size=20)).map(str)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.9", [], "198.51.100.9"),
        ("198.51.100.9", ["203.0.113.7"], "198.51.100.9"),  # anybody can write that
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),  # what the client said itself is further left
        ("127.0.0.1", ["6.6.6.6", "203.0.113.7, 10.0.0.3"], "203.0.113.7"),
        ("127.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("127.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::5", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7,"], "127.0.0.1"),
        ("", ["203.0.113.7"], ""),
    ],
)
def test_only_a_trusted_proxy_names_the_client(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, NEAR) == client


def test_without_trusted_proxies_it_is_the_socket() -> None:
    assert client_address("127.0.0.1", ["203.0.113.7"], ()) == "127.0.0.1"


@given(st.lists(addresses, max_size=5), st.ip_addresses().map(str))
def test_what_a_client_writes_never_hides_the_address_that_its_proxy_saw(lies: list[str], seen: str) -> None:
    named = client_address("10.0.0.3", [", ".join([*lies, seen])], NEAR)
    if not any(client_address(seen, ["192.0.2.1"], (network,)) == "192.0.2.1" for network in NEAR):
        assert named == client_address("127.0.0.1", [seen], NEAR)


@given(st.text())
def test_any_text_has_a_rate(text: str) -> None:
    assert isinstance(rate_key(text), str)


@pytest.mark.parametrize("wrong", ["proxy.example.com", "10.0.0.1/24", ""])
def test_what_is_no_network_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"gateway\.trusted_proxies"):
        networks([wrong])
