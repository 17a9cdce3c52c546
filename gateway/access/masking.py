"""What a bearer without `noc:view_pii` reads instead of personal data (R5.4).

Owns which fields of a message can hold it. What is hidden in a text is decided by `gateway.access.free_text`. Never
decides who the bearer is.
"""

import re
from functools import partial
from typing import Any

import msgspec

from contracts.feed import AnomalyDetected, FeedRecord, TicketUpdated
from contracts.findings import Category, Finding
from contracts.messages import MessageSeen, NoticeMessage, SeenBy
from contracts.projections import DESCRIPTION_CHARACTERS_MAX
from gateway.access.free_text import HIDDEN, mask_email, mask_phone, mask_text, mask_user, scrub
from gateway.access.known_names import TenantNames

PHONE_FIELDS = frozenset({"phone", "mobile", "mobno"})
EMAIL_FIELDS = frozenset({"email"})
TEXT_FIELDS = frozenset({"address", "peoplename", "person_name", "assigned_to_name", "resolved_by_name"})
PII_FIELDS = PHONE_FIELDS | EMAIL_FIELDS | TEXT_FIELDS

_TICKET_NO = re.compile(r"[A-Za-z]{0,12}[-_/#]?([0-9]{1,6}|(?<!^)[0-9]{1,4}[-_/][0-9]{1,6})")
"""A ticket number as systems write them, which no phone number looks like."""
_TYPED_NUMBER_MIN = 1e6


def masked_record(record: FeedRecord, names: TenantNames) -> FeedRecord:
    """The record without readable personal data; the placeholders of its titles are filled from it.

    Names of sites stay.

    Args:
        record: of the feed.
        names: of the tenant's persons, as far as the feed has shown them.
    """
    name = record.person_name
    if name is not None:
        record = msgspec.structs.replace(record, person_name=mask_text(name))
    if isinstance(record, AnomalyDetected):
        findings = [_masked_finding(finding, record, names) for finding in record.findings]
        return msgspec.structs.replace(record, findings=findings)
    return _masked_ticket(record, names) if isinstance(record, TicketUpdated) else record


def masked_notice(notice: NoticeMessage) -> NoticeMessage:
    """The notice without readable personal data: the users that it names."""
    if not isinstance(notice, MessageSeen):
        return notice
    return msgspec.structs.replace(notice, seen_by=[SeenBy(mask_user(seen.user), seen.at) for seen in notice.seen_by])


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
        return HIDDEN
    field = name.lower()
    if field in EMAIL_FIELDS:
        return mask_email(value)
    if field in PHONE_FIELDS:
        return mask_phone(value)
    return mask_text(value)


def _masked_finding(finding: Finding, record: FeedRecord, names: TenantNames) -> Finding:
    hide = partial(scrub, names=names, numbers=partial(_numbers, record, finding))
    evidence = {name: hide(value) if isinstance(value, str) else value for name, value in finding.evidence.items()}
    if finding.category is Category.DATA_QUALITY:  # a phone number may have been typed where a number belongs
        evidence |= {
            name: HIDDEN for name, value in evidence.items() if name.startswith("observed") and _is_long(value)
        }
    return msgspec.structs.replace(
        finding, title=hide(finding.title), description=hide(finding.description), evidence=mask_nested(evidence)
    )


def _masked_ticket(ticket: TicketUpdated, names: TenantNames) -> TicketUpdated:
    hide = partial(scrub, names=names, numbers=partial(_numbers, ticket))
    number, description = ticket.ticket_no or "", ticket.description
    if len(description) >= DESCRIPTION_CHARACTERS_MAX:  # it was cut there: half a name is no name that is known
        description = f"{description.rpartition(' ')[0]} {HIDDEN}"
    return msgspec.structs.replace(
        ticket,
        ticket_no=ticket.ticket_no if _TICKET_NO.fullmatch(number) else hide(number) or ticket.ticket_no,
        old_status=hide(ticket.old_status),
        new_status=hide(ticket.new_status),
        priority=None if ticket.priority is None else hide(ticket.priority),
        description=hide(description),
    )


def _is_long(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) >= _TYPED_NUMBER_MIN


def _numbers(record: FeedRecord, finding: Finding | None = None) -> set[str]:
    """The identifiers of a record, which are no phone numbers however long they are."""
    found: list[Any] = [record.site_id, record.client_id, record.person_id, record.source.key]
    if isinstance(record, TicketUpdated):
        number = _TICKET_NO.fullmatch(record.ticket_no or "")
        found += record.ticket_id, record.assigned_to, number and number[1]
    if finding is not None:
        found += [value for name, value in finding.evidence.items() if name.endswith("_id")]
    return set(map(str, found))
