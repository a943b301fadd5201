"""Queries of HL7 v2 (QBP, HL7 v2.5 chapter 5): reading their parameters, and the segments of an answer.

An answer is MSH MSA [ERR] QAK QPD and what was found; QPD comes back as it was sent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from gateway.codec import charset, er7
from gateway.codec.er7 import Message, Segment, escape
from gateway.codec.head import Head
from gateway.codec.iso2022 import encode_wide
from gateway.errors import BadInput
from gateway.ihe import _ack
from gateway.ihe._transaction import Response, V2Services, caller_of
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.services.feed import Problem, Refused
from gateway.translate.datatypes import component
from gateway.translate.person_v2 import BadField

_UTF_8: Final = "UNICODE UTF-8"


class Query(NamedTuple):
    """One QBP as far as every query has it."""

    head: Head
    message: Message
    qpd: Segment
    tag: str
    """QPD-2, which the answer and a continuation name."""
    at: datetime
    address: str
    node: str = ""
    """Of the certificate."""

    @property
    def owner(self) -> str:
        return owner_of(self.head, self.tag, self.node)

    @property
    def caller(self) -> Caller:
        return caller_of(self.head, self.address, self.node)


def owner_of(head: Head, tag: str, node: str) -> str:
    """Who asks, and under which tag."""
    return "\x1f".join((node, head.field(3), head.field(4), tag))


class Found(NamedTuple):
    """What a query is answered with."""

    status: str
    """QAK-2 (table 0208): OK, NF, AE, AR."""
    segments: Sequence[str] = ()
    problems: tuple[Problem, ...] = ()
    counts: tuple[int, int, int] | None = None
    """QAK-4 to 6: hits in all, in this answer, remaining."""
    pointer: str = ""
    """DSC-1 when there is more."""
    patient: str = ""
    """CX of the patient the question was about, for the audit trail."""


def read_query(message: bytes, head: Head, at: datetime, address: str, node: str = "") -> Query:
    """Raises Refused for a message without a readable QPD."""
    try:
        decoded = charset.decode(message)
        parsed = er7.parse(decoded)
    except BadInput as error:
        raise Refused("AE", Problem("102", "", str(error))) from None
    found = parsed.all("QPD")
    if len(found) != 1:
        raise Refused("AE", Problem("100", f"QPD^{len(found) or 1}", "a query has one QPD segment"))
    if any(issue.code == "undecodable-bytes" for issue in decoded.issues):
        raise Refused("AE", Problem("102", "QPD^1", "the query holds bytes that are no characters of its charset"))
    if b"\x00" in message.strip(b"\x00\r\n"):
        raise Refused("AE", Problem("102", "QPD^1", "the query holds NUL characters"))
    return Query(head, parsed, found[0], component(found[0][2], 1), at, address, node)


def refused(error: BadField) -> Found:
    return Found("AE", problems=(Problem(error.code, error.place, str(error)),))


def respond(query: Query, found: Found, structure: str) -> Response:
    """The bytes of an answer. `structure`: MSH-9 of it, `RSP^K23^RSP_K23`."""
    head = query.head
    code = "AA" if found.status in ("OK", "NF") else "AE"
    lines = [_ack.msa(head, code, found.problems), *_ack.errs(head, found.problems)]
    lines.append(_qak(query, found))
    lines.append("|".join(query.qpd.fields))
    lines += found.segments
    if found.pointer:
        lines.append(f"DSC|{found.pointer}|I")
    accept = _ack.accepted(head, query.at)
    answer = _encoded(head, query.at, structure, code, lines)
    return Response([*accept, answer], code, found.problems)


def _qak(query: Query, found: Found) -> str:
    fields = ["QAK", query.qpd[2], found.status, query.qpd[1], *(map(str, found.counts) if found.counts else ())]
    return "|".join(fields).rstrip("|")


def _encoded(head: Head, at: datetime, structure: str, code: str, lines: list[str]) -> bytes:
    """In the charset of MSH-18. A question that names none is answered in ASCII, and in UTF-8, saying so, where that is
    not enough."""
    named = ""
    if not head.field(18) and head.charset == "ascii" and not all(line.isascii() for line in lines):
        named = _UTF_8
    msh = _ack.msh(head, at, structure, code, named)
    text = "".join(f"{line}\r" for line in (msh, *lines))
    codec = "utf-8" if named else head.charset
    if codec == "iso2022_jp":
        return encode_wide(text)
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return text.encode(codec, "replace")


def record(services: V2Services, query: Query, transaction: str, found: Found) -> None:
    """DICOM PS3.15 A.5.3.10 Query, one an answer; stored before the answer is given."""
    if services.audit is None:
        return
    outcome = 0 if found.status in ("OK", "NF") else 4
    head = query.head
    services.audit.record(
        AuditRecord(
            event="110112",
            transaction=transaction,
            action="E",
            outcome=outcome,
            actor=query.caller.node,
            address=query.address,
            patient=found.patient,
            object=escape(query.tag)[:64],
            detail=f"MSH-10={head.control_id} {found.status}",
        )
    )


def required(query: Query, *fields: int) -> None:
    """Raises BadField (101) for an empty field of QPD."""
    for number in fields:
        if not query.qpd[number].strip("^~& "):
            raise BadField("101", f"QPD^1^{number}", f"QPD-{number} is required")
