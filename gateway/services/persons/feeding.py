"""A feed -> what storage keeps of it: a message with the Patient (a version of the record), and statements.

The record's own key and the time of the event make every feed a version: the newest is shown, whatever order they
came in, and the same feed again is no news. What is said outright (merge, link, ...) is a statement of its own.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

import orjson

from gateway.codec import fhir
from gateway.errors import InvalidParameter, MissingParameter
from gateway.model.identity import Authority, PatientId, PersonKey, Statement, StatementKind
from gateway.model.ingest import DELETED, VALID, FileOutcome, KeptMessage, Version, make_key
from gateway.model.person import PersonFeed
from gateway.services.identity import canonical, of_a_family
from gateway.services.ingest.deriving import kept_resource
from gateway.services.persons.patients import patient_id, patient_of
from gateway.translate.ranks import NUMBER_ONLY

PATH: Final = b"feed:"
"""How the ledger's path of a feed begins."""
MAX_ID: Final = 256
"""Characters of one id."""
_NEWBORN_DAYS: Final = 366
"""So long a child may go without a name in a registration; systems often give it with the first visit."""
MAX_PARTS: Final = 100
"""Numbers, names, addresses or telephones of one person in one message."""
MAX_WORDS: Final = 4000
"""Characters of one name or address, in all its parts."""
JAPAN: Final = timezone(timedelta(hours=9))
_DTM: Final = re.compile(r"(\d{4,14})(?:\.(\d{1,4}))?([+-]\d{4})?$", re.ASCII)
_NAMED: Final = frozenset({"name", "birthDate", "gender"})
_RECORD, _MENTION = "identity", "identity-mention"
_SAYS: Final[Mapping[str, StatementKind]] = {
    "merge": "merge", "link": "link", "unlink": "unlink", "change-id": "change-id", "delete": "delete",
}  # fmt: skip


class MissingName(MissingParameter):
    """A registration of somebody who is no newborn, without a name."""


def event_time(time: str) -> str:
    """17 digits of a DTM, in Japanese time as SS-MIX2 time stamps are: a zone is converted, missing digits are zeros."""
    found = _DTM.match(time)
    if found is None:
        return "".join(letter for letter in time if letter in "0123456789")[:17].ljust(17, "0")
    digits, fraction, zone = found.groups(default="")
    whole = digits + fraction[:3] if len(digits) == 14 else digits
    if zone and len(digits) >= 12:
        try:
            moment = datetime.strptime(f"{digits.ljust(14, '0')}{zone}", "%Y%m%d%H%M%S%z").astimezone(JAPAN)
        except ValueError:
            return whole.ljust(17, "0")
        whole = moment.strftime("%Y%m%d%H%M%S") + fraction[:3]
    return whole.ljust(17, "0")


def japan_time(moment: datetime) -> str:
    """17 digits of a moment."""
    local = moment.astimezone(JAPAN)
    return local.strftime("%Y%m%d%H%M%S") + f"{local.microsecond // 1000:03d}"


class TooMuch(InvalidParameter):
    """Somebody with more of something than a person has. `part`: name, address or telecom."""

    def __init__(self, text: str, part: str) -> None:
        super().__init__(text)
        self.part = part


def check_size(event: PersonFeed) -> None:
    """What one message may say of one person, over every wire. Raises InvalidParameter and TooMuch."""
    if len(event.ids) + len(event.prior) > MAX_PARTS:
        raise InvalidParameter("nobody has so many numbers")
    known = event.demographics
    if known is None:
        return
    names = [*known.names, *([known.mothers_maiden_name] if known.mothers_maiden_name else [])]
    for part, found in (
        ("name", [f"{one.family}{one.given}{one.text}" for one in names]),
        ("address", ["".join(one[:6]) for one in known.addresses]),
        ("telecom", list(known.telecoms)),
    ):
        if len(found) > MAX_PARTS or any(len(words) > MAX_WORDS for words in found):
            raise TooMuch(f"a {part} is longer than anybody's, or there are too many", part)


def check_ids(ids: Iterable[PatientId]) -> None:
    """Raises InvalidParameter for an id nobody could have given."""
    for id_ in ids:
        if not id_.value or len(id_.value) > MAX_ID or not id_.value.isprintable() or id_.value != id_.value.strip():
            raise InvalidParameter("a patient's number is empty, too long or holds characters of no number")


def check_name(event: PersonFeed) -> None:
    """A person has a name, but for one who was just born: within the year, of a multiple birth, with a mother's number,
    or where the sender says that there is none. The same over every wire. Raises MissingName."""
    known = event.demographics
    if event.kind not in ("add", "revise") or event.nameless or known is None or known.names:
        return
    if known.mothers_ids or known.multiple_birth or known.birth_order is not None:
        return
    if not 0 <= _days(known.birth_date, event.event_time) <= _NEWBORN_DAYS:
        raise MissingName("the patient's name is missing")


def _days(one: str, other: str) -> int:
    """From one day (YYYYMMDD...) to another; -1 where one of them is none."""
    try:
        first, last = (date(int(day[:4]), int(day[4:6]), int(day[6:8])) for day in (one, other))
    except ValueError:
        return -1
    return (last - first).days


def messages(
    event: PersonFeed,
    authorities: Mapping[str, Authority],
    *,
    patient: Mapping[str, Any] | None = None,
    with_patient: bool = True,
) -> tuple[KeptMessage, ...]:
    """What is kept of a feed. `patient`: the Patient as its sender wrote it; `with_patient=False`: another message of
    the same commit brings it (an ADT that is translated as a whole).

    A merge only mentions its survivor: what the record says of itself stays.
    """
    found: list[KeptMessage] = []
    said = statements(event)
    own = event.ids[0]
    if event.kind in ("add", "revise", "change-id"):
        found.append(_record(event, authorities, patient, with_patient, _RECORD, 0))
    elif event.kind == "merge" and event.demographics is not None:
        found.append(_record(event, authorities, patient, with_patient, _MENTION, 1))
    elif event.kind == "delete":
        version = Version(event_time(event.event_time), said[0].hash, "", DELETED)
        found.append(
            KeptMessage(make_key(own.authority, own.value, "", _RECORD, ""), version, own.authority, "", PersonKey(()))
        )
    if said and found:
        found[-1] = replace(found[-1], statements=said)
    elif said:
        found.append(bare(event, said))
    return tuple(found)


def statements(event: PersonFeed) -> tuple[Statement, ...]:
    """What a feed says outright: for a merge, one statement a subsumed id."""
    kind = _SAYS.get(event.kind)
    if kind is None:
        return ()
    pairs = [(survivor(event, prior), prior) for prior in event.prior] or [(event.ids[0], event.ids[0])]
    return tuple(
        statement(kind, one, other, event.event_time, event.sender, event.transaction, event.control_id)
        for one, other in pairs
    )


def survivor(event: PersonFeed, prior: PatientId) -> PatientId:
    """The id of a merge that takes the place of `prior`: that of the same domain."""
    if event.kind in ("link", "unlink"):
        return event.ids[0]
    found = [id_ for id_ in event.ids if id_.authority == prior.authority]
    if not found:
        raise InvalidParameter("a merge or a change of number stays inside one domain")
    return found[0]


def statement(
    kind: StatementKind,
    one: PatientId,
    other: PatientId,
    time: str,
    who: str,
    transaction: str,
    control_id: str = "",
    undoes: str = "",
    rule: str = "",
) -> Statement:
    words = (kind, one.value, one.authority, other.value, other.authority, event_time(time), who, control_id, undoes)
    hash_ = hashlib.sha256(orjson.dumps(words)).hexdigest()
    return Statement(kind, one, other, event_time(time), hash_, who, transaction, rule, undoes)


def outcome(event: PersonFeed, kept: tuple[KeptMessage, ...]) -> FileOutcome:
    """The row of the ledger: one a feed."""
    digest = hashlib.sha256(b"\x1f".join(one.version.sha256.encode() for one in kept)).hexdigest()
    name = "\x1f".join((event.transaction, event.sender, event.control_id, event.kind, *map(str, event.ids), digest))
    path = PATH + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest().encode()
    return FileOutcome(path, 0, 0, digest, kept)


def _record(
    event: PersonFeed,
    authorities: Mapping[str, Authority],
    patient: Mapping[str, Any] | None,
    with_patient: bool,
    kind: str,
    rank: int,
) -> KeptMessage:
    own, others = event.ids[0], [id_ for id_ in event.ids[1:] if id_ not in event.prior]
    id_ = patient_id(own)
    made = (
        {**patient, "id": id_} if patient is not None else patient_of((own, *others), event.demographics, authorities)
    )
    known_ids = (canonical(one, authorities) for one in others if one.authority in authorities and one != own)
    shared = (one for one in known_ids if not of_a_family(one, authorities))
    known = event.demographics
    person = PersonKey((own, *dict.fromkeys(shared)), known.birth_date[:8] if known else "", known.sex if known else "")
    body = fhir.render(made)
    said = orjson.dumps([str(one) for one in person.ids]) + (body if with_patient else b"")
    version = Version(event_time(event.event_time), hashlib.sha256(said).hexdigest(), "", VALID)
    if not known or (not known.names and patient is None):
        rank = max(rank, NUMBER_ONLY if known is None else rank)
    return KeptMessage(
        key=make_key(own.authority, own.value, "", kind, "" if kind == _RECORD else version.sha256),
        version=version,
        facility=own.authority,
        patient=id_,
        person=person,
        resources=(kept_resource(made, rank, id_),) if with_patient else (),
        sender=event.sender,
    )


def bare(event: PersonFeed, said: tuple[Statement, ...]) -> KeptMessage:
    """Carries statements and nothing else."""
    own, hash_ = event.ids[0], said[0].hash
    key = make_key(own.authority, own.value, "", "identity-statement", hash_)
    version = Version(event_time(event.event_time), hash_, "", VALID)
    return KeptMessage(key, version, own.authority, "", PersonKey(()), sender=event.sender, statements=said)
