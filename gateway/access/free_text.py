"""E-mail addresses, phone numbers and known names in free text, hidden for viewers who may not see them.

Owns what counts as one of them in a text that anybody may have typed. Errs on the safe side: a number of seven digits
may be a phone's. Pure; takes time in proportion to the text.
"""

import re
from collections.abc import Callable, Collection

from gateway.access.known_names import TenantNames, visible

HIDDEN = "***"
_SHOWN = 3  # characters of a text that stay: the first two and the last
_PHONE_DIGITS_SHOWN = 4
_NATIONAL_DIGITS = 10
_COUNTRY_DIGITS_MAX = 3
_PHONE_DIGITS_MIN = 7

# Possessive and behind a look-behind: no text makes them look at a character more than a few times.
_MAYBE_EMAIL = re.compile(r"@|%40|&|[\[({<]\s?at|\bat\s+\S+\s+dot\b", re.IGNORECASE)
_SPELLED_AT = re.compile(
    r"\s{0,3}(?:[\[({<]\s?(?:at|@)\s?[\])}>]|%40|&(?:#64|#x40|commat);)\s{0,3}"
    r"|\s{1,3}at\s{1,3}(?=[\w-]+\s{1,3}dot\s)|\s{1,3}@\s{0,3}(?=[\w-]+\.\w)|(?<=@)\s{1,3}(?=[\w-]+\.\w)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"@|%40|&|\bat\b", re.IGNORECASE)
_SPELLED_AT = re.compile(
    r"\s{0,3}(?:[\[({<]\s?(?:at|@)\s?[\])}>]|%40|&(?:#64|#x40|commat);)\s{0,3}"
    r"|\s{1,3}at\s{1,3}(?=[\w-]+\s{1,3}dot\s)|\s{1,3}@\s{0,3}(?=[\w-]+\.\w)|(?<=@)\s{1,3}(?=[\w-]+\.\w)",
    re.IGNORECASE,
)
_SPELLED_DOT = re.compile(r"\s{0,3}[\[({<]\s?(?:dot|\.)\s?[\])}>]\s{0,3}|(?<=\w)\s{1,3}dot\s{1,3}(?=\w)", re.IGNORECASE)
_EMAIL = re.compile(r"(?:\"[^\"@]{1,64}\"|(?<![^\s@<>(),;:\[\]\"'])[^\s@<>(),;:\[\]\"']++)@@?[\w.-]*+")
_DIGIT = re.compile(r"\d")
_PHONE = re.compile(
    r"(?P<time>(?<!\d)(?:(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|(?:0?[1-9]|[12]\d|3[01])([./])(?:0?[1-9]|1[0-2])\2(?:19|20)\d\d)(?![\d-]))"
    r"|(?:\+[\s(]{0,2})?\(?\d(?:[\s().\-\u00ad\u2010-\u2015\u2212/\u00b7_,*~|]{0,4}+\d)*+"
)


def mask_text(value: str) -> str:
    """The first two characters and the last.

    >>> mask_text("valerie")
    'va***e'
    >>> mask_text("Bo")
    '***'
    """
    return f"{value[:2]}{HIDDEN}{value[-1]}" if len(value) > _SHOWN else HIDDEN


def mask_email(value: str) -> str:
    """The first character and the domain.

    >>> mask_email("jane@example.com")
    'j***@example.com'
    """
    name, at, domain = value.partition("@")
    return f"{name[:1]}{HIDDEN}@{domain}" if at and name else mask_text(value)


def mask_phone(value: str) -> str:
    """The country code and the last four digits.

    >>> mask_phone("+1-555-867-1234"), mask_phone("+15558671234")
    ('+1-***-***-1234', '+1-***-***-1234')
    >>> mask_phone("5558671234")
    '***-***-1234'
    """
    digits = "".join(character for character in value if character.isdigit())
    if len(digits) <= _PHONE_DIGITS_SHOWN + 2:
        return HIDDEN
    # National numbers have ten digits nearly everywhere: what stands before them is the country.
    country = digits[:-_NATIONAL_DIGITS][:_COUNTRY_DIGITS_MAX] if value.startswith("+") else ""
    prefix = f"+{country}-" if country else ""
    return f"{prefix}{HIDDEN}-{HIDDEN}-{digits[-_PHONE_DIGITS_SHOWN:]}"


def mask_user(user: str) -> str:
    """A user's name in a notice, by its kind: an e-mail address, a phone number, or any other name.

    >>> mask_user("jane@example.com"), mask_user("+1 555 867 1234"), mask_user("valerie.ondo"), mask_user("ann")
    ('j***@example.com', '+1-***-***-1234', 'va***o', '***')
    """
    plain = visible(user)
    if "@" in plain:
        return mask_email(plain)
    digits = sum(map(str.isdigit, plain))
    return mask_phone(plain) if 2 * digits > len(plain) else mask_text(plain)


def scrub(text: str, names: TenantNames, numbers: Callable[[], Collection[str]] = tuple) -> str:
    """The text without e-mail addresses, phone numbers and the names.

    Args:
        text: what anybody may have typed; without any of them it comes back unchanged.
        names: of the tenant's persons.
        numbers: gives those that the viewer sees anyway, such as the record's own identifiers: they stay.

    >>> names = TenantNames(10)
    >>> names.learn("Valerie Ondo")
    >>> scrub("VALERIE ondo, valerie@example.com or (555) 867-1234, since 2026-11-21: pump 3 is loud", names)
    '***, v***@example.com or ***-***-1234, since 2026-11-21: pump 3 is loud'
    """
    plain = hidden = visible(text)
    if _MAYBE_EMAIL.search(plain):
        hidden = _EMAIL.sub(_hide_email, _SPELLED_AT.sub("@", plain))
    if len(_DIGIT.findall(hidden)) >= _PHONE_DIGITS_MIN:
        hidden = _PHONE.sub(lambda found: _hide_phone(found, numbers), hidden)
    if len(names):
        hidden = _without_names(hidden, names)
    return text if hidden == plain else hidden


def _hide_email(found: re.Match[str]) -> str:
    return mask_email(found[0].replace('"', "").replace("@@", "@"))


def _hide_phone(found: re.Match[str], numbers: Callable[[], Collection[str]]) -> str:
    said = found[0]
    if found["time"] is not None:
        return said
    digits = "".join(character for character in said if character.isdigit())
    if len(digits) < _PHONE_DIGITS_MIN or said in numbers():
        return said
    return mask_phone(said)


def _without_names(text: str, names: TenantNames) -> str:
    pieces: list[str] = []
    end = 0
    for start, after in names.find(text):
        pieces += text[end:start], HIDDEN
        end = after
    return text if not pieces else "".join((*pieces, text[end:]))
