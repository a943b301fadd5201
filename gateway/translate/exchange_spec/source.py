"""The exchange convention as a source of data: a file's bytes in, one Converted a person out.

A document of the registry is of one patient only, so a person's own envelope is the original; each record is a part
with its own key and version, because a resend corrects single records (section 5).
"""

import codecs
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.model.identity import Authority, PatientId, PersonKey
from gateway.model.outcome import Issue, Translated
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted, Part
from gateway.translate.exchange_spec import exact, explained, flat, people
from gateway.translate.exchange_spec.envelope import Envelope, Person, Refused, parse, read
from gateway.translate.exchange_spec.findings import finding, outcome
from gateway.translate.exchange_spec.grouping import shapes
from gateway.translate.exchange_spec.observations import Fragment, Subject, business_key, instant, observations
from gateway.translate.exchange_spec.records import Record, check, registered
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.ids import derived_oid, resource_id

NAME: Final = "exchange-spec"
_HEAD: Final = 4096
_NAMES: Final = (b'"person_information"', b'"consortium_id"', b'"format_version"')


def recognises(data: bytes, path: str) -> bool:
    """A JSON object that shows a name of the header, also in UTF-16, which is refused; a flat CSV file; or a file called
    *.json that shows no FHIR and no other format."""
    head = data[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head[2:].replace(b"\0", b"").lstrip(b" \t\r\n")
    ours = (
        (head.startswith(b"{") and any(name in head for name in _NAMES))
        or path[-5:].lower() == ".json"
        or flat.recognises(data)
    )
    return ours and b'"resourceType"' not in head


@dataclass(slots=True)
class Checked:
    """A person with the records that keep the rules."""

    person: Person
    records: list[Record]
    issues: list[Issue]


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """One Converted a person, in the order of the file. Never raises for what the bytes hold."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    empty = Converted(NAME, name, 0, hashlib.sha256(data).hexdigest(), original=data, data_type=NAME)
    if not flat.recognises(data):
        return _read(empty, lambda: parse(data), facilities, facility, explain)
    try:
        table = flat.parse(data)
    except Refused as refused:
        return [_refused(empty, refused.issues)]
    # The document that is kept is the envelope: CSV with several persons in it is nobody's.
    data = exact.dumps(table.document)
    made = _read(replace(empty, original=data), lambda: (table.document, table.issues), facilities, facility, explain)
    return [_located(one, table) for one in made]


def _located(one: Converted, table: flat.Flat) -> Converted:
    """What is said of a flat file, with line and column."""
    found = [issue._replace(where=table.located(issue.where)) for issue in one.translated.issues]
    lineage = tuple(row._replace(source=table.located(row.source)) for row in one.translated.lineage)
    error = one.error._replace(where=table.located(one.error.where)) if one.error else None
    said = outcome([*([error] if error else []), *found]) if one.outcome else None
    return replace(
        one, error=error, translated=replace(one.translated, issues=tuple(found), lineage=lineage), outcome=said
    )


def _read(
    empty: Converted,
    parsed: Callable[[], tuple[dict[str, Any], list[Issue]]],
    facilities: Facilities,
    facility: str,
    explain: bool,
) -> list[Converted]:
    registers = facilities.exchange
    try:
        envelope = read(*parsed(), registers)
    except Refused as refused:
        return [_refused(empty, refused.issues)]
    authority, found = _authority(facilities, facility, envelope.consortium_id)
    checked = checked_persons(envelope, registers)
    made = []
    for n, one in enumerate(checked):
        own = [*(envelope.issues if n == 0 else ()), *(found if n == 0 else ()), *one.person.issues, *one.issues]
        head = empty if len(checked) == 1 else _own(empty, envelope, one.person)
        made.append(_convert(head, envelope, one, own, authority, registers, explain))
    return made


def checked_persons(envelope: Envelope, registers: Registers) -> list[Checked]:
    """All records against their tables and lists; of one key given twice in the file the newest counts (section 5)."""
    persons = []
    for person in envelope.persons:
        issues: list[Issue] = []
        records = []
        for raw in person.records:
            record = check(raw, registers, envelope.send_time, issues)
            if record and registered(record, envelope.consortium_id, person.person_id, registers, issues):
                records.append(record)
        persons.append(Checked(person, records, issues))
    _once(persons)
    return persons


def _once(persons: Sequence[Checked]) -> None:
    """One record a key. Two with one update time that differ are both refused: nobody can say which is right."""
    best: dict[tuple[str, ...], Record] = {}
    clashing: set[tuple[str, ...]] = set()
    for one in persons:
        for record in one.records:
            key = _key(one.person, record)
            known = best.setdefault(key, record)
            if known is record:
                continue
            if record.update_time > known.update_time:
                best[key] = record
                clashing.discard(key)
            elif record.update_time == known.update_time and record.content != known.content:
                clashing.add(key)
    for one in persons:
        kept = []
        for record in one.records:
            key = _key(one.person, record)
            newest = best[key]
            if record is newest and key not in clashing:
                kept.append(record)
            elif record.update_time < newest.update_time:
                one.issues.append(finding("W-STALE", record.where))
            elif key in clashing:
                one.issues.append(finding("E-DUP-IN-FILE", record.where))
        one.records = kept


def _key(person: Person, record: Record) -> tuple[str, ...]:
    return (person.person_id, record.type.name, record.observation_time, *record.source)


def _authority(facilities: Facilities, override: str, consortium: str) -> tuple[Authority, tuple[Issue, ...]]:
    """The domain of the person ids: `--facility`, else the authority with this consortium as namespace or alias."""
    if override:
        return facilities.find(override) or Authority(override), ()
    if known := facilities.find(consortium):
        return known, ()
    text = "the consortium is not in [[authorities]]; ids are made under an OID derived from its id"
    issue = Issue("warning", "facility-unknown", "/consortium_id", text)
    return Authority(derived_oid("consortium", consortium), consortium), (issue,)


def _own(head: Converted, envelope: Envelope, person: Person) -> Converted:
    """The person's own envelope: the same format, nobody else in it."""
    document = {
        "format_version": envelope.format_version,
        "send_time": envelope.send_time,
        "consortium_id": envelope.consortium_id,
        **{key.removeprefix("/").replace("~1", "/").replace("~0", "~"): one for key, one in envelope.unknown.items()},
        "person_information": [person.raw],
    }
    data = exact.dumps(document)
    return replace(head, original=data, sha256=hashlib.sha256(data).hexdigest())


def _convert(
    head: Converted,
    envelope: Envelope,
    one: Checked,
    issues: list[Issue],
    authority: Authority,
    registers: Registers,
    explain: bool,
) -> Converted:
    person = one.person
    sent = instant(envelope.send_time)
    head = replace(head, facility=authority.oid, message_time=sent, version_time=envelope.send_time)
    if (person.refused or person.records) and not one.records:
        # Nothing of this person can be taken: the first reason stands for all.
        first = next((issue for issue in issues if issue.severity in ("error", "fatal")), None)
        if first is not None:
            return _refused(head, [first, *(issue for issue in issues if issue is not first)])
    patient = resource_id(authority.oid, "Patient", person.person_id)
    subject = Subject(authority.oid, envelope.consortium_id, person.person_id, patient, registers)
    parts = tuple(_part(subject, record, envelope.send_time) for record in one.records)
    frame: list[Fragment] = [
        people.patient(subject, authority),
        *people.organizations(subject, one.records),
        *people.devices(subject, one.records),
    ]
    measured = [resource for part in parts for resource in part.resources]
    targets = [frame[0], *measured]
    groups = shapes(person, (r.where for r, part in zip(one.records, parts, strict=True) for _ in part.resources))
    record = people.provenance(subject, envelope, person, targets, groups, head.sha256, head.file)
    lineage = list(explained.of_file(subject, envelope, person, record)) if explain else []
    for each, part in zip(one.records, parts, strict=True) if explain else ():
        lineage += explained.of_record(subject, each, part.resources)
    return replace(
        head,
        key=(person.person_id, "-", NAME, f"{envelope.send_time}-{head.sha256[:16]}"),
        patient_id=PatientId(person.person_id, authority.oid),
        translated=Translated(
            (*frame, *measured, record),
            tuple(issues),
            lineage=tuple(lineage),
            person=PersonKey((PatientId(person.person_id, authority.oid),)),
        ),
        parts=parts,
        outcome=outcome(issues) if issues else None,
    )


def _refused(head: Converted, issues: Sequence[Issue]) -> Converted:
    return replace(head, error=issues[0], translated=Translated((), tuple(issues[1:])), outcome=outcome(issues))


def as_one(made: list[Converted], data: bytes) -> Converted:
    """The persons of one file as the one document that `convert` prints for it."""
    issues = [issue for one in made for issue in (*([one.error] if one.error else []), *one.translated.issues)]
    head = replace(made[0], original=data, sha256=hashlib.sha256(data).hexdigest(), patient_id=None, parts=())
    if all(one.error for one in made):
        return _refused(head, issues)
    found: dict[tuple[str, str], Fragment] = {}
    for one in made:
        for resource in one.resources:
            found.setdefault((resource["resourceType"], resource["id"]), resource)
    lineage = dict.fromkeys(row for one in made for row in one.translated.lineage)
    translated = Translated(tuple(found.values()), tuple(issues), lineage=tuple(lineage))
    return replace(head, error=None, translated=translated, outcome=outcome(issues) if issues else None)


def _part(subject: Subject, record: Record, send_time: str) -> Part:
    """A record as a version of its key. Of two with one update time the one that was sent first is kept (section 5:
    keep stored), whichever file is read first: hence the complement of the send time after the update time."""
    values, unknown = record.content
    key = business_key(subject, record)
    content = exact.dumps([dict(sorted(values.items())), dict(sorted(unknown.items()))])
    return Part(
        key=(subject.person, record.observation_time[:8], NAME, key),
        version_time=f"{record.update_time}-{complement(send_time)}",
        sha256=hashlib.sha256(content).hexdigest(),
        resources=tuple(observations(record, subject, key)),
    )


def complement(digits: str) -> str:
    """Sorts the other way round."""
    return digits.translate(_NINES)


_NINES: Final = str.maketrans("0123456789", "9876543210")
