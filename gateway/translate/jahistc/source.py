"""One notebook -> one `Converted`: a collection of JP Core resources with a Provenance for the file and one a creator."""

import hashlib
from collections.abc import Sequence
from typing import Any

from gateway.codec import jahistc
from gateway.codec.jahistc import Notebook, NotebookError, Record
from gateway.codec.jahistc_parts import join
from gateway.errors import BadInput, LimitExceeded
from gateway.model.identity import Authority, PatientId, PersonKey
from gateway.model.outcome import Issue, Translated
from gateway.translate.common import SHA256
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.datatypes import absent, as_code
from gateway.translate.ids import derived_oid, local_system, resource_id
from gateway.translate.jahistc import dispensing, notes, people
from gateway.translate.jahistc.layout import keep_layout
from gateway.translate.jahistc.making import CREATOR_SYSTEM, Making, Resource, codes
from gateway.translate.people import resource

NAME = "jahistc"
PERSON_SYSTEM = "https://musubi.invalid/notebook-person"
"""Numbers made of what a notebook says about its person; they mean nothing outside the Bundle."""


def recognises(data: bytes, path: str) -> bool:
    return jahistc.recognises(data)


def part_of(data: bytes) -> tuple[str, ...] | None:
    """What the parts of one split notebook have in common (data id, number of parts); None for bytes that are no part."""
    if not jahistc.recognises(data):
        return None
    try:
        mark = jahistc.parse(data).part
    except BadInput:
        return None
    return (mark.item("data_id"), mark.item("parts")) if mark else None


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """One file. A part of a split notebook alone is refused: it names the parts that are missing."""
    return [read_parts([data], path, facilities, facility, explain)]


def read_parts(
    parts: Sequence[bytes], path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> Converted:
    """All parts of one notebook (record 911), in any order; `path` is the name they get."""
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    digest, file = hashlib.sha256(data).hexdigest(), path.rsplit("/", 1)[-1]
    empty = Converted(NAME, file, 0, digest, data_type=NAME, charset="Shift_JIS")
    try:
        read = [jahistc.parse(part) for part in parts]
        notebook = join(read) if len(read) > 1 or read[0].part else read[0]
    except NotebookError as error:
        return _not_read(empty, "not-jahistc", error.where, str(error))
    except BadInput as error:
        code = "too-large" if isinstance(error, LimitExceeded) else "not-jahistc"
        return _not_read(empty, code, "line 1", str(error))
    original = (
        data
        if len(parts) == 1
        else jahistc.render(notebook.records, version=notebook.version, direction=notebook.direction).data
    )
    return _converted(notebook, empty, original, facilities, facility, explain)


def _not_read(empty: Converted, code: str, where: str, text: str) -> Converted:
    return Converted(
        NAME, empty.file, 0, empty.sha256, data_type=NAME, charset=empty.charset,
        error=Issue("fatal", code, where, text),
    )  # fmt: skip


def _converted(
    notebook: Notebook, empty: Converted, original: bytes, facilities: Facilities, facility: str, explain: bool
) -> Converted:
    authority = facilities.find(facility) or Authority(facility or derived_oid("facility", NAME))
    owner = facilities.patient
    if owner is not None:
        authority = facilities.find(owner.authority) or Authority(owner.authority)
    patient_id = owner or _unnumbered(notebook, authority)
    making = Making(authority, resource_id(authority.oid, "Patient", patient_id.value))
    making.issues += notebook.issues
    if owner is None:
        text = "a notebook holds no patient number: `ingest` has to be told whose it is (--patient)"
        making.issues.append(Issue("information", "no-patient", "line 2", text))
    making.lineage = [] if explain else None
    system = authority.patient_system if owner else PERSON_SYSTEM
    _translate(notebook.records, {"system": system, "value": patient_id.value}, making)
    person = making.resources["Patient", making.patient]
    _provenances(notebook, making, empty)
    opened = max(
        (day.iso for r in notebook.records if r.number == "5" and (day := jahistc.day(r.item("date")))), default=""
    )
    return Converted(
        NAME,
        empty.file,
        0,
        empty.sha256,
        original=original,
        facility=authority.oid,
        data_type=NAME,
        key=(patient_id.value, opened.replace("-", "") or "-", NAME, empty.sha256[:32]),
        message_time=opened,
        version_time=opened.replace("-", "").ljust(17, "0") if opened else "",
        patient_id=owner,
        charset=notebook.charset,
        translated=Translated(
            resources=tuple(making.resources.values()),
            issues=tuple(making.issues),
            residue=tuple(making.residue),
            lineage=tuple(making.lineage or ()),
            person=_person_key(owner, person),
        ),
    )


def _person_key(owner: PatientId | None, person: Resource) -> PersonKey | None:
    """What the notebook says about its person, in the form that messages say it (PID-7, PID-8)."""
    sex = {"male": "M", "female": "F"}.get(person.get("gender", ""), "")
    return PersonKey((owner,), person.get("birthDate", "").replace("-", ""), sex) if owner else None


def _unnumbered(notebook: Notebook, authority: Authority) -> PatientId:
    """A notebook carries no patient number. Its person gets one made of name, kana, sex and day of birth, good for this
    Bundle only: who that is in a node is for the caller to say."""
    one = next(record for record in notebook.records if record.number == "1")
    found = jahistc.day(one.item("birth"))
    key = (one.item("name"), people.full_width_kana(one.item("kana")), one.item("sex"), found.iso if found else "")
    return PatientId(resource_id(authority.oid, "notebook-patient", *key), authority.oid)


def _translate(records: Sequence[Record], identifier: Resource, making: Making) -> None:
    """Outside the blocks record by record; a block as a whole."""
    people.patient(next(record for record in records if record.number == "1"), identifier, making)
    homes: dict[int, Resource] = {id(record): home for record, home in making.homes if home is not None}
    making.homes = []
    at = 0
    while at < len(records):
        record = records[at]
        if record.number == "5":
            end = next((n for n in range(at + 1, len(records)) if records[n].number == "5"), len(records))
            homes |= _block(list(records[at:end]), making)
            at = end
            continue
        if (home := _outside(record, records, making)) is not None:
            homes[id(record)] = home
        elif record.number == "31":
            if statement := _bought(record, records, homes):
                homes[id(record)] = statement
            else:
                making.warn(
                    "record-order", record, "sequence", "no record 3 has the number of this ingredient; it is kept"
                )
        at += 1
    for record in records:
        making.house(record, homes.get(id(record)))


def _outside(record: Record, records: Sequence[Record], making: Making) -> Resource | None:
    match record.number:
        case "2":
            return notes.note(record, making)
        case "3":
            return notes.otc(record, _ingredients(record, records), making)
        case "4" | "601":
            return notes.communication(record, making)
        case "701":
            return notes.family_pharmacist(record, making)
    return None


def _ingredients(drug: Record, records: Sequence[Record]) -> list[Record]:
    """The 31 with the sequence number of a 3, which is one number in one notebook."""
    number = drug.item("sequence")
    return [one for one in records if number and one.number == "31" and one.item("sequence") == number]


def _bought(ingredient: Record, records: Sequence[Record], homes: dict[int, Resource]) -> Resource | None:
    number = ingredient.item("sequence")
    drug = next((one for one in records if one.number == "3" and number and one.item("sequence") == number), None)
    return homes.get(id(drug)) if drug is not None else None


def _block(records: list[Record], making: Making) -> dict[int, Resource]:
    """601 and 701 may stand inside a block, too: they are about the patient, not about it."""
    block = dispensing.collect(records)
    homes = dispensing.dispense(block, making)
    for record in block.adrift:
        making.warn("record-order", record, "", f"record {record.number} belongs to nothing in its block; it is kept")
        making.adrift.add(id(record))
    found = jahistc.day(block.opening.item("date"))
    about = tuple({id(home): home for home in homes.values()}.values())
    for record in block.remarks:
        if record.number in ("411", "421", "501") or (record.number == "401" and not about):
            homes[id(record)] = notes.communication(record, making, found.iso if found else "", about)
        elif (home := _outside(record, records, making)) is not None:
            homes[id(record)] = home
    return homes


def _provenances(notebook: Notebook, making: Making, empty: Converted) -> None:
    """One for the file, with the order of its records; one for each creator (作成者) who is not known to be its sender."""
    targets = [{"reference": f"{type_}/{id_}"} for type_, id_ in making.resources]
    _creators(making, empty.sha256)
    whole = resource("Provenance", making.id("Provenance", empty.sha256))
    keep_layout(notebook, making, whole)
    whole["target"] = targets
    whole["_recorded"] = absent()
    whole["agent"] = [{"who": making.subject() if notebook.direction == "2" else _sender(notebook, making)}]
    what: list[dict[str, Any]] = [{"system": SHA256, "value": empty.sha256}]
    if empty.file:
        what.append({"system": local_system(making.facility.oid, "file"), "value": empty.file})
    whole["entity"] = [{"role": "source", "what": {"identifier": identifier}} for identifier in what]
    making.add(whole)
    making.account(f"Provenance/{whole['id']}.extension")


def _creators(making: Making, sha256: str) -> None:
    """Who wrote what (作成者), as far as the notebook says."""
    for creator, made in sorted(making.creators.items()):
        words = codes("creator").get(creator, ("", ""))[1]
        one = resource("Provenance", making.id("Provenance", sha256, creator))
        one["target"] = [{"reference": f"{m['resourceType']}/{m['id']}"} for m in made]
        one["_recorded"] = absent()
        role: Resource = {"coding": [{"system": CREATOR_SYSTEM, "code": creator}]} if as_code(creator) else {}
        role |= {"text": words} if words else {}
        who = making.subject() if creator == "2" else {"display": words or "作成者不明"}
        one["agent"] = [{"role": [role], "who": who} if role else {"who": who}]
        making.add(one)
        for record, home in making.homes:
            if home is not None and record.item("creator") == creator:
                making.from_(f"Provenance/{one['id']}.agent", record, "creator")


def _sender(notebook: Notebook, making: Making) -> Resource:
    """The dispensing institution when the notebook names just one; otherwise only that it was a provider."""
    named = {record.text(): record for record in notebook.records if record.number == "11"}
    if len(named) == 1:
        return people.reference(people.institution(next(iter(named.values())), making))
    return {"display": "医療機関・薬局"}
