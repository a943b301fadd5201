"""Who and what stands around the records: person, consortium, laboratories, devices, and the Provenance of a file."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway import mapping_files
from gateway.model.identity import Authority
from gateway.translate.common import SHA256
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.envelope import Envelope, Person
from gateway.translate.exchange_spec.grouping import Shapes
from gateway.translate.exchange_spec.observations import Fragment, Subject, extension, instant
from gateway.translate.exchange_spec.records import Record
from gateway.translate.ids import local_system
from gateway.translate.people import resource

_APP = re.compile(r"(\S.*?) +v?([0-9]+(?:\.[0-9A-Za-z]+)+)")
"""Phone app: name and version (`HealthKit 10.3`), as item 8 of the activity table says."""
_AGENT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def consortium_id(subject: Subject) -> str:
    return subject.id("Organization", "consortium_id", subject.consortium)


def patient(subject: Subject, authority: Authority) -> Fragment:
    """Birth month and sex are those of the participant list, when there is one."""
    made = resource("Patient", subject.patient, "JP_Patient")
    made["meta"] = {"source": f"urn:hx:{subject.consortium}", **made["meta"]}
    made["identifier"] = [{"system": authority.patient_system, "value": subject.person}]
    listed = subject.registers.row("participants", subject.consortium, subject.person) or {}
    if gender := _sexes().get(listed.get("sex", "")):
        made["gender"] = gender
    month = listed.get("birth_month", "").replace("-", "")
    if len(month) == 6 and month.isascii() and month.isdigit() and "01" <= month[4:] <= "12" and month > "000100":
        made["birthDate"] = f"{month[:4]}-{month[4:]}"
    return made


def _sexes() -> dict[str, str]:
    return {
        row["code"]: row["gender"] for row in mapping_files.read_csv(mapping_files.path("exchange-spec", "sexes.csv"))
    }


def organizations(subject: Subject, records: Iterable[Record]) -> list[Fragment]:
    """The consortium, then the laboratories in order of their ids."""
    labs = sorted({str(one.values["test_lab_id"]) for one in records if "test_lab_id" in one.values})
    found = [_organization(consortium_id(subject), "consortium_id", subject.consortium, "consortia", subject)]
    found += [_organization(subject.lab(lab), "test_lab_id", lab, "labs", subject) for lab in labs]
    return found


def _organization(id_: str, system: str, value: str, listed: str, subject: Subject) -> Fragment:
    made = resource("Organization", id_, "JP_Organization")
    made["identifier"] = [{"system": local_system(subject.facility, system), "value": value}]
    key = (value,) if listed == "consortia" else (subject.consortium, value)
    if name := (subject.registers.row(listed, *key) or {}).get("name", ""):
        made["name"] = name
    return made


def devices(subject: Subject, records: Iterable[Record]) -> list[Fragment]:
    """One a device of the person, by the key its records are known by."""
    found: dict[str, Fragment] = {}
    for record in records:
        if record.type.of_device and (id_ := subject.device(record)) not in found:
            found[id_] = _device(id_, record, subject)
    return [found[id_] for id_ in sorted(found)]


def _device(id_: str, record: Record, subject: Subject) -> Fragment:
    maker, model, serial = record.source
    made = resource("Device", id_)
    made["meta"] = {"source": f"urn:hx:{subject.consortium}", **made["meta"]}
    system = local_system(subject.facility, "device")
    made["identifier"] = [{"system": system, "value": "|".join(record.source)}]
    made["manufacturer"] = maker
    made["serialNumber"] = serial
    if app := _APP.fullmatch(model):
        made["deviceName"] = [{"name": app[1], "type": "user-friendly-name"}]
    elif name := (subject.registers.row("devices", maker, model) or {}).get("name", ""):
        made["deviceName"] = [{"name": name, "type": "model-name"}]
    if model:
        made["modelNumber"] = model
    if app:
        made["version"] = [{"value": app[2]}]
    return made


def provenance(
    subject: Subject,
    envelope: Envelope,
    person: Person,
    made: Sequence[Fragment],
    groups: Shapes,
    sha256: str,
    file: str,
) -> Fragment:
    """Who sent the file, when, and which bytes. Its targets stand in the order of the file, which is how the order of
    the records comes back; what no Observation can carry of the envelope stands in extensions."""
    record: dict[str, Any] = resource(
        "Provenance", subject.id("Provenance", subject.person, envelope.send_time, sha256)
    )
    record["meta"] = {"source": f"urn:hx:{subject.consortium}", **record["meta"]}
    record["extension"] = [
        {"url": extension("format-version"), "valueString": envelope.format_version},
        {"url": extension("position"), "valueUnsignedInt": person.index},
    ]
    for name, content in (("groups", groups), ("unmapped", person.unknown), ("unmapped-header", envelope.unknown)):
        if content:
            record["extension"].append({"url": extension(name), "valueString": exact.text(content)})
    record["extension"] += [{"url": extension("empty"), "valueString": one} for one in sorted(set(person.empty))]
    record["target"] = [{"reference": f"{one['resourceType']}/{one['id']}"} for one in made]
    record["recorded"] = instant(envelope.send_time)
    record["agent"] = [
        {"type": _agent("author"), "who": {"reference": f"Organization/{consortium_id(subject)}"}},
        {"type": _agent("assembler"), "who": {"display": "Musubi"}},
    ]
    what = [{"system": SHA256, "value": sha256}]
    if file:
        what.append({"system": local_system(subject.facility, "file"), "value": file})
    record["entity"] = [{"role": "source", "what": {"identifier": one}} for one in what]
    return record


def _agent(code: str) -> Fragment:
    return {"coding": [{"system": _AGENT, "code": code}]}
