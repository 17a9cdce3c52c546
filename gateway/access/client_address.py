"""The address that a client really comes from: that of its socket, or the one that a trusted proxy names.

Pure. Never believes a header that anybody but a trusted proxy could have written.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from common.errors import SettingsError

Network = IPv4Network | IPv6Network

_IPV6_SITE_BITS = 64  # what one subscriber gets; a limit for each single address would be none


def networks(configured: Sequence[str]) -> tuple[Network, ...]:
    """The networks of `gateway.trusted_proxies`.

    Raises:
        SettingsError: one is neither an address nor a network.

    >>> networks(["10.0.0.5", "fd00::/8"])
    (IPv4Network('10.0.0.5/32'), IPv6Network('fd00::/8'))
    """
    try:
        return tuple(ip_network(name) for name in configured)
    except ValueError as error:
        raise SettingsError(
            f"gateway.trusted_proxies: {error}", "name addresses or networks, such as 10.0.0.5 or 10.0.0.0/24"
        ) from error


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address.

    Args:
        peer: the other side of the socket.
        forwarded: the values of the X-Forwarded-For headers, in their order.
        trusted: whose headers are believed.

    Returns:
        the nearest address that is no trusted proxy; where a proxy names no valid address, that proxy's own. For a
        peer that is not trusted its own address, whatever its headers hold.

    >>> near = networks(["127.0.0.1", "10.0.0.0/24"])
    >>> client_address("127.0.0.1", ["6.6.6.6, 203.0.113.7, 10.0.0.4"], near)
    '203.0.113.7'
    >>> client_address("198.51.100.9", ["203.0.113.7"], near)
    '198.51.100.9'
    """
    if not trusted:
        return peer
    nearest = peer
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    while hops and _is_in(nearest, trusted):
        address = _address(hops.pop())
        if address is None:
            break
        nearest = str(address)
    return nearest


def rate_key(address: str) -> str:
    """What the rate of one client is counted by: its IPv4 address, or the network of its IPv6 address.

    >>> rate_key("203.0.113.7"), rate_key("::ffff:203.0.113.7"), rate_key("2001:db8:1:2:3:4:5:6")
    ('203.0.113.7', '203.0.113.7', '2001:db8:1:2::')
    """
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _IPV6_SITE_BITS), strict=False).network_address)
    return address if found is None else str(found)


def _is_in(address: str, trusted: Sequence[Network]) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port behind it as some proxies write it; an IPv4 address that is written as IPv6 is that."""
    bare = text
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
