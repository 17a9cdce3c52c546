"""Whether a gateway may listen where its settings say: what is good on one machine is not good on a network. Pure."""

from common.errors import SettingsError
from common.settings.load import Settings
from watchfloor_client.addresses import is_loopback


def exposed(settings: Settings) -> list[str]:
    """What is unsafe about the settings of a gateway that others than this machine can reach."""
    if is_loopback(settings.gateway.host):
        return []
    found = []
    if settings.auth.algorithm == "HS256":
        found.append("tokens are signed with a shared secret (auth.algorithm is HS256)")
    if settings.gateway.tls.certificate_file is None:
        found.append("connections are not encrypted (gateway.tls.certificate_file is not set)")
    return found


def refuse_exposed(settings: Settings) -> None:
    """Refuse settings that are unsafe, unless they insist.

    Raises:
        SettingsError: the gateway listens on an address that is not loopback with HS256 or without TLS.
    """
    found = exposed(settings)
    if found and not settings.gateway.allow_insecure:
        raise SettingsError(
            f"the gateway would listen at {settings.gateway.host}, and {' and '.join(found)}",
            "correct that, listen on loopback, or insist with gateway.allow_insecure = true",
        )
