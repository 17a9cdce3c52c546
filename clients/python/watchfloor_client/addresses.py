"""What can be said of a host from its name alone. Resolves nothing."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach, or are reached at, this address.

    Args:
        host: a name or an address, an IPv6 one with or without its brackets.

    >>> is_loopback("[::1]"), is_loopback("Localhost"), is_loopback("0.0.0.0"), is_loopback("localhost.example")
    (True, True, False, False)
    """
    if host.casefold() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
