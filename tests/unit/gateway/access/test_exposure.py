import pytest

from common.errors import SettingsError
from common.settings.load import Settings
from gateway.access.exposure import exposed, refuse_exposed

GOOD_AUTH = {"algorithm": "ES256", "jwks_url": "https://id.example.com/keys"}
TLS = {"certificate_file": "c.pem", "key_file": "k.pem"}


def settings(host: str, *, shared: bool, tls: bool, **more: bool) -> Settings:
    auth = {"hs256_secret": "x" * 40} if shared else GOOD_AUTH
    return Settings(auth=auth, gateway={"host": host, "tls": TLS if tls else {}, **more})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "", "noc.example.com", "127.0.0.1.example.com"])
@pytest.mark.parametrize(
    ("shared", "tls", "faults"), [(True, True, 1), (False, False, 1), (True, False, 2), (False, True, 0)]
)
def test_on_a_network_it_is_refused_unless_the_settings_insist(host: str, shared: bool, tls: bool, faults: int) -> None:
    given = settings(host, shared=shared, tls=tls)
    assert len(exposed(given)) == faults
    if faults:
        with pytest.raises(SettingsError, match="insist with gateway"):
            refuse_exposed(given)
    refuse_exposed(settings(host, shared=shared, tls=tls, allow_insecure=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.7"])
def test_on_loopback_everything_may_start(host: str) -> None:
    refuse_exposed(settings(host, shared=True, tls=False))
