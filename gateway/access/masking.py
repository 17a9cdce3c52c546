"""What a bearer without `noc:view_pii` reads instead of personal data (R5.4).

Owns the field rules. Never decides who the bearer is.
"""

from typing import Any

import msgspec

from contracts.feed import AnomalyDetected, FeedRecord
from contracts.findings import Finding
from contracts.messages import MessageSeen, NoticeMessage, SeenBy

PHONE_FIELDS = frozenset({"phone", "mobile", "mobno"})
EMAIL_FIELDS = frozenset({"email"})
TEXT_FIELDS = frozenset({"address", "peoplename", "person_name", "assigned_to_name", "resolved_by_name"})
PII_FIELDS = PHONE_FIELDS | EMAIL_FIELDS | TEXT_FIELDS

_HIDDEN = "***"
_SHOWN = 3  # characters of a text that stay: the first two and the last
_PHONE_DIGITS_SHOWN = 4
_NATIONAL_DIGITS = 10
_COUNTRY_DIGITS_MAX = 3


def masked_record(record: FeedRecord) -> FeedRecord:
    """The record without readable personal data; titles are filled from it, so they hide it too."""
    name = record.person_name
    if name is not None:
        record = msgspec.structs.replace(record, person_name=mask_text(name))
    if isinstance(record, AnomalyDetected):
        record = msgspec.structs.replace(record, findings=[_masked_finding(finding) for finding in record.findings])
    return record


def masked_notice(notice: NoticeMessage) -> NoticeMessage:
    """The notice without readable personal data: a user name that is an e-mail address counts as such."""
    if not isinstance(notice, MessageSeen):
        return notice
    seen_by = [SeenBy(mask_email(seen.user) if "@" in seen.user else seen.user, seen.at) for seen in notice.seen_by]
    return msgspec.structs.replace(notice, seen_by=seen_by)


def mask_nested(value: Any) -> Any:
    """A JSON value with every field of the rules masked, at any depth."""
    match value:
        case dict():
            return {
                name: mask_field(name, inner) if name.lower() in PII_FIELDS else mask_nested(inner)
                for name, inner in value.items()
            }
        case list():
            return [mask_nested(inner) for inner in value]
        case _:
            return value


def mask_field(name: str, value: Any) -> Any:
    """A field's value by its name's rule; what is not a text is hidden whole, null stays null."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _HIDDEN
    field = name.lower()
    if field in EMAIL_FIELDS:
        return mask_email(value)
    if field in PHONE_FIELDS:
        return mask_phone(value)
    return mask_text(value)


def mask_text(value: str) -> str:
    """The first two characters and the last.

    >>> mask_text("valerie")
    'va***e'
    >>> mask_text("Bo")
    '***'
    """
    return f"{value[:2]}{_HIDDEN}{value[-1]}" if len(value) > _SHOWN else _HIDDEN


def mask_email(value: str) -> str:
    """The first character and the domain.

    >>> mask_email("jane@example.com")
    'j***@example.com'
    """
    name, at, domain = value.partition("@")
    return f"{name[:1]}{_HIDDEN}@{domain}" if at and name else mask_text(value)


def mask_phone(value: str) -> str:
    """The country code and the last four digits.

    >>> mask_phone("+1-555-867-1234"), mask_phone("+15558671234")
    ('+1-***-***-1234', '+1-***-***-1234')
    >>> mask_phone("5558671234")
    '***-***-1234'
    """
    digits = "".join(character for character in value if character.isdigit())
    if len(digits) <= _PHONE_DIGITS_SHOWN + 2:
        return _HIDDEN
    # National numbers have ten digits nearly everywhere: what stands before them is the country.
    country = digits[:-_NATIONAL_DIGITS][:_COUNTRY_DIGITS_MAX] if value.startswith("+") else ""
    prefix = f"+{country}-" if country else ""
    return f"{prefix}{_HIDDEN}-{_HIDDEN}-{digits[-_PHONE_DIGITS_SHOWN:]}"


def _masked_finding(finding: Finding) -> Finding:
    evidence = mask_nested(finding.evidence)
    return finding if evidence == finding.evidence else msgspec.structs.replace(finding, evidence=evidence)
