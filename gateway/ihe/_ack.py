"""Acknowledgements of HL7 v2 messages (HL7 v2.5 2.9, 2.15; v2.4 2.16; v2.3.1 2.24): what a receipt is on the wire.

Original mode (MSH-15 and MSH-16 empty): one ACK with the outcome, AA AE or AR. Enhanced mode: an accept
acknowledgement (CA CE CR) where MSH-15 asks for one, then an application acknowledgement where MSH-16 does. What is
said depends on the message and on the receipt alone, so the same message again gets the same bytes.
"""

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Final

from gateway.codec.head import Head
from gateway.services.feed import Problem, Receipt
from gateway.translate.rules import table

JST: Final = timezone(timedelta(hours=9))
_LISTED: Final = 20
"""ERR segments of one answer at most."""


def acknowledgements(head: Head, receipt: Receipt) -> list[bytes]:
    """Everything the sender is to hear, in order; nothing where it wants to hear nothing."""
    accept, application = head.field(15, 1), head.field(16, 1)
    if not accept and not application:
        return [_ack(head, receipt, receipt.answer)]
    good = receipt.answer == "AA"
    told = _wanted(application, good)
    if receipt.answer == "AR":
        # Not taken at all: that is said once, by the accept acknowledgement if one is wanted.
        if _wanted(accept, False):
            return [_ack(head, receipt, "CR")]
        return [_ack(head, receipt, "AR", enhanced=True)] if told else []
    answers = []
    if _wanted(accept, good or told):
        # Refused for its content: it is here and kept (quarantine), and the application acknowledgement says why. Where
        # none is wanted the sender must not take the commit for success.
        answers.append(_ack(head, receipt, "CA", problems=()) if good or told else _ack(head, receipt, "CE"))
    if told:
        answers.append(_ack(head, receipt, receipt.answer, enhanced=True))
    return answers


def _wanted(condition: str, good: bool) -> bool:
    """Table 0155. LENIENT: a code outside the table asks for an answer: a sender that waits in vain sends for ever."""
    return {"": False, "NE": False, "SU": good, "ER": not good}.get(condition, True)


def accepted(head: Head, at: datetime) -> list[bytes]:
    """The accept acknowledgement of a query in enhanced mode, where MSH-15 asks for one; its answer follows."""
    if not _wanted(head.field(15, 1), True):
        return []
    return [_ack(head, Receipt("AA", at), "CA", problems=())]


def _ack(
    head: Head, receipt: Receipt, code: str, *, enhanced: bool = False, problems: tuple[Problem, ...] | None = None
) -> bytes:
    listed = (receipt.problems if problems is None else problems)[:_LISTED]
    form = _form(head)
    type_ = f"ACK^{head.trigger}" if form == "3" or not head.trigger else f"ACK^{head.trigger}^ACK"
    segments = [msh(head, receipt.at, type_, code, enhanced=enhanced), msa(head, code, listed), *errs(head, listed)]
    text = "".join(f"{segment}\r" for segment in segments)
    try:
        return text.encode(head.charset)
    except UnicodeEncodeError:
        # Only MSH-3 to 6 can hold such characters (髙 in a name): `?` there is better than no answer.
        return text.encode(head.charset, "replace")


def _form(head: Head) -> str:
    return table("hl7-versions").get(head.version, "5")


def msh(head: Head, at: datetime, type_: str, code: str, charset: str = "", *, enhanced: bool = False) -> str:
    """MSH of an answer with MSH-9 `type_`. `code`: of MSA-1. `charset`: MSH-18 where the message named none."""
    fields = [""] * 21
    fields[0:2] = ["MSH", "^~\\&"]
    fields[2:6] = [head.field(5), head.field(6), head.field(3), head.field(4)]
    fields[6] = at.astimezone(JST).strftime("%Y%m%d%H%M%S%z")
    fields[8] = type_
    fields[9] = _control_id(head, at, code)
    fields[10] = head.field(11)
    fields[11] = head.field(12)
    if enhanced:
        fields[14:16] = ["NE", "NE"]
    fields[16:20] = [head.field(17), charset or head.field(18), head.field(19), head.field(20)]
    return "|".join(fields).rstrip("|")


def msa(head: Head, code: str, problems: tuple[Problem, ...]) -> str:
    segment = f"MSA|{code}|{head.control_id}"
    if _form(head) == "5" or not problems:
        return segment
    return f"{segment}|{_plain(problems[0].text[:80])}|||{_coded(problems[0].code)}"


def errs(head: Head, problems: tuple[Problem, ...]) -> list[str]:
    form = _form(head)
    return [_err(problem, form) for problem in problems[:_LISTED]]


def _err(problem: Problem, form: str) -> str:
    """v2.5: one ERR a problem, ERR-2 location, 3 code, 4 severity, 7 for the log, 8 for people. Before: ERR-1 alone,
    `segment^sequence^field^code&words&HL70357`."""
    if form != "5":
        segment, sequence, field = [*problem.place.split("~", 1)[0].split("^"), "", "", ""][:3]
        return f"ERR|{segment}^{sequence}^{field}^{_coded(problem.code).replace('^', '&')}"
    return f"ERR||{problem.place}|{_coded(problem.code)}|{problem.severity}|||{_plain(problem.text)}|{_plain(problem.text)}"


def _coded(code: str) -> str:
    words = table("hl7-0357")[code]
    return f"{code}^{words}^HL70357"


def _plain(text: str) -> str:
    """Our own words, of which some quote the names of fields: no delimiter may be left in them."""
    return text.translate(_DELIMITERS)


_DELIMITERS: Final = str.maketrans("|^~\\&\r\n", "       ")


def _control_id(head: Head, at: datetime, code: str) -> str:
    """20 characters (v2.3.1 to v2.6), the same for the same answer."""
    parts = "\x1f".join((head.field(3), head.field(4), head.control_id, at.isoformat(), code))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:20].upper()
