"""A merge in a storage file (ADT^A40, or A47 change of number) -> the statement it makes, as the MLLP face keeps it.

A file has no sender to refuse to, and files come in any order: which records are known is not asked. A statement about a
number that comes later counts from then on, and one that would close a circle counts for nothing (model/identity.py).
"""

from gateway.codec import charset, er7
from gateway.codec.er7 import Message
from gateway.errors import InvalidParameter
from gateway.model.identity import Authority, PatientId
from gateway.model.ingest import KeptMessage
from gateway.model.person import FeedKind, PersonFeed
from gateway.services import my_number
from gateway.services.ingest.messages import Rejected
from gateway.services.persons import feeding
from gateway.translate import times
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.datatypes import component
from gateway.translate.hl7 import feed_time
from gateway.translate.person_v2 import authority_of, cx_of

TRANSACTION = "storage"
_KINDS: dict[str, FeedKind] = {"merge": "merge", "change-id": "change-id"}


def statements_of(one: Converted, facilities: Facilities) -> tuple[KeptMessage, ...]:
    """What a converted message says of who is who, besides what it says of its patient; () for most. Raises Rejected
    for a merge that cannot be read: half of it must not be kept."""
    kind = _KINDS.get(one.feeds)
    if kind is None or not one.original:
        return ()
    message = er7.parse(charset.decode(one.original))
    msh, pid, found = message.segments[0], message.first("PID"), message.all("MRG")
    if pid is None or len(found) != 1:
        raise _rejected("the merge has no MRG, or several")
    ids = _ids(pid[3], one.facility, facilities)
    prior = _ids(found[0][1], one.facility, facilities)
    if not ids or not prior:
        raise _rejected("the merge names no number of an authority that is known here")
    time = _time(message, one)
    sender = f"{component(msh[3], 1)}|{component(msh[4], 1)}"[:200]
    event = PersonFeed(
        kind, ids, prior, None, feed_time(time, kind), sender, component(msh[10], 1), TRANSACTION
    )  # fmt: skip
    try:
        feeding.check_ids((*ids, *prior))
        if any(feeding.survivor(event, id_) == id_ for id_ in prior):
            raise _rejected("the merge names one number twice")
        said = feeding.statements(event)
    except InvalidParameter as error:
        raise _rejected(str(error)) from None
    return (feeding.bare(event, said),)


def _time(message: Message, one: Converted) -> str:
    """EVN-2 where it has minutes, else MSH-7, else that of the file: 17 digits."""
    evn = message.first("EVN")
    sent = [component(evn[2], 1)] if evn is not None else []
    sent += [component(message.segments[0][7], 1)]
    found = next((time for time in sent if len(time) >= 12 and times.fhir_datetime(time)), "")
    return feeding.event_time(found or one.version_time)


def _ids(raw: str, facility: str, facilities: Facilities) -> tuple[PatientId, ...]:
    """A number without an authority is the facility's. Of authorities nobody knows nothing is taken."""
    own = Authority(facility)
    found: list[PatientId] = []
    for cx in cx_of(raw):
        authority = authority_of(cx.hd, facilities.find) if cx.hd.strip("&") else own
        if authority is None and my_number.is_my_number(cx.value):
            raise Rejected("my-number-refused", "a patient's number is a My Number, which must not be kept")
        if authority is not None and cx.value:
            found.append(PatientId(cx.value, authority.oid))
    return tuple(dict.fromkeys(found))


def _rejected(text: str) -> Rejected:
    return Rejected("merge-refused", text)
