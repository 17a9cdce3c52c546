from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import NOW, bearer

from common.settings.gateway import SignInSettings
from gateway.access.sign_in_codes import SignInCodes

LIMITS = SignInSettings(code_lifetime_s=60, codes_per_user_max=2, codes_max=5)


def issued(codes: SignInCodes, token: str, user: str = "ops", now: float = NOW) -> str:
    code = codes.issue(token, bearer(subject=user), now)
    assert code is not None
    return code


def test_a_code_works_once_and_for_a_while() -> None:
    codes = SignInCodes(LIMITS)
    first, second = issued(codes, "a"), issued(codes, "b")
    assert codes.redeem(first, NOW + 59) == "a"
    assert codes.redeem(first, NOW + 59) is None
    assert codes.redeem(second, NOW + 60) is None
    assert len(codes) == 0


def test_a_user_has_a_few_codes_and_all_have_a_bound() -> None:
    codes = SignInCodes(LIMITS)
    first, second, third = (issued(codes, token) for token in "abc")
    assert codes.redeem(first, NOW) is None
    assert (codes.redeem(second, NOW), codes.redeem(third, NOW)) == ("b", "c")
    for number in range(5):
        issued(codes, "x", f"user {number}")
    assert codes.issue("x", bearer(subject="one more"), NOW) is None
    assert len(codes) == 5
    assert codes.issue("x", bearer(subject="one more"), NOW + 60) is not None  # the others have expired


@given(st.text(st.characters()))
def test_no_text_is_a_code(text: str) -> None:
    codes = SignInCodes(LIMITS)
    issued(codes, "a")
    assert codes.redeem(text, NOW) is None
    assert len(codes) == 1
