"""The security headers on every HTTP response, also on the WebSocket library's own error pages."""

from websockets.http11 import Response
from websockets.server import ServerProtocol

from gateway.sockets.http_routes import SECURITY_HEADERS

_SWITCHING = 101
_HSTS = {"Strict-Transport-Security": "max-age=31536000"}


class _Secured(ServerProtocol):
    headers = SECURITY_HEADERS

    def send_response(self, response: Response) -> None:
        if response.status_code != _SWITCHING:
            for name, value in self.headers.items():
                if name not in response.headers:
                    response.headers[name] = value
        super().send_response(response)


class _SecuredByTls(_Secured):
    headers = SECURITY_HEADERS | _HSTS


def secured(protocol: ServerProtocol, *, tls: bool) -> ServerProtocol:
    """The protocol, which adds the headers from here on; with TLS browsers are told to come back with TLS only."""
    # The library makes its protocol itself, and takes no class for it.
    protocol.__class__ = _SecuredByTls if tls else _Secured
    return protocol
