"""What a feed raises when trying again cannot help."""


class FeedError(Exception):
    """The feed cannot be followed like this.

    Args:
        problem: what is wrong, as a sentence fragment without a full stop.
        advice: what to do next, as an imperative sentence fragment.
    """

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.problem}: {self.advice}"


class AddressError(FeedError):
    """The address is not that of a gateway, or must not be used like this."""


class RefusedError(FeedError):
    """The gateway does not accept the token, or this client."""
