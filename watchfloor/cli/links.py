"""Links that sign in: a one-time code of the gateway in the place of a token."""

from common.errors import WatchfloorError

_TIMEOUT_S = 10.0


def sign_in_link(gateway: str, token: str) -> str:
    """An address of the page that signs in with a token, once and within minutes.

    Args:
        gateway: its HTTP address.
        token: is sent to the gateway, which gives a code for it.

    Raises:
        WatchfloorError: the gateway does not answer, or refuses the token.
    """
    import httpx

    try:
        answer = httpx.post(
            f"{gateway}/api/noc/sign-in-codes",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise WatchfloorError(
            f"the gateway at {gateway} gives no code for a link ({type(error).__name__})",
            "check that it runs, or use the token itself",
        ) from error
    if answer.status_code != httpx.codes.CREATED:
        raise WatchfloorError(
            f"the gateway at {gateway} gives no code for a link ({answer.text.strip()})", "use the token itself"
        )
    # A browser does not send what follows #, so not even the code reaches a server's log.
    return f"{gateway}/#code={answer.json()['code']}"
