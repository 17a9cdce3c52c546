from http import HTTPStatus

import pytest
from websockets.server import ServerProtocol

from gateway.sockets.gateway_protocol import secured


@pytest.mark.parametrize("tls", [False, True])
def test_error_pages_of_the_library_have_the_security_headers(tls: bool) -> None:
    protocol = secured(ServerProtocol(), tls=tls)
    protocol.send_response(protocol.reject(HTTPStatus.BAD_REQUEST, "wrong"))
    sent = b"".join(protocol.data_to_send())
    assert b"X-Content-Type-Options: nosniff\r\n" in sent
    assert (b"Strict-Transport-Security: max-age=" in sent) == tls
