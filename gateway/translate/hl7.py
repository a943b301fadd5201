"""HL7 v2 messages, from an SS-MIX2 storage or by themselves: a file's bytes in, translated messages out.

One file holds one message, or several (batch, concatenation); each becomes one `Converted`. The data type of an
SS-MIX2 file name decides the structure before MSH-9 does; a message without such a name is judged by MSH-9 and content.
"""

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import Any

from gateway.codec import charset, er7, ssmix2
from gateway.codec.er7 import Message, Segment
from gateway.codec.ssmix2 import NO_ORDER, FileName
from gateway.errors import BadInput, LimitExceeded
from gateway.model.identity import PatientId
from gateway.model.outcome import Issue, Translated
from gateway.translate import rde_o11, times
from gateway.translate.common import provenance, start
from gateway.translate.completeness import looks_cut
from gateway.translate.context import Context, Facilities
from gateway.translate.converted import Converted
from gateway.translate.datatypes import component
from gateway.translate.people import find_patient, local_number, person_key
from gateway.translate.rules import table
from gateway.translate.structures import OTHER, STRUCTURES


def recognises(data: bytes, path: str) -> bool:
    """Whether a message header, or the head of a batch, stands at the beginning, after what senders put before it."""
    return data[:256].lstrip(b"\xef\xbb\xbf\x0b\r\n \t\x00")[:3] in (b"MSH", b"FHS", b"BHS")


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """Every message of one file, translated. Never raises on bad input: the reason stands in `Converted.error`."""
    parts = path.replace("\\", "/").rsplit("/", 6)
    empty = Converted("ss-mix2", parts[-1], 0, hashlib.sha256(data).hexdigest())
    name, issues = _storage_name(parts)
    try:
        messages = charset.split_messages(data)
        if not messages:
            raise BadInput("the file holds no HL7 message")
    except BadInput as error:
        return [replace(empty, name=name, error=_unreadable(error, 0))]
    made = []
    for offset, part in messages:
        digest = empty.sha256 if len(messages) == 1 else hashlib.sha256(part).hexdigest()
        only = name if len(messages) == 1 else None
        head = Converted("ss-mix2", empty.file, offset, digest, original=part, name=only)
        made.append(_read_message(part, head, _root(path, parts), issues, facilities, facility, explain))
    return made


def _storage_name(parts: list[str]) -> tuple[FileName | None, tuple[Issue, ...]]:
    try:
        name = ssmix2.parse_name(parts[-1])
    except BadInput:
        return None, ()
    folders = parts[-6:-1]
    return name, ssmix2.check_path(folders, name) if len(folders) == 5 else ()


@lru_cache(maxsize=256)
def _root_of(folder: str) -> str:
    # Not by PurePath: every folder of a storage is asked for once, and taking one apart costs as much as its PID.
    return ssmix2.root_of([name for name in folder.split("/") if name not in ("", ".")])


def _root(path: str, parts: list[str]) -> str:
    """Name of the storage's root folder; every file of a folder has the same."""
    return _root_of(path[: len(path) - len(parts[-1])]) if len(parts) > 1 else ""


def _unreadable(error: BadInput, base: int) -> Issue:
    code = "too-large" if isinstance(error, LimitExceeded) else "not-hl7"
    return Issue("fatal", code, f"byte {getattr(error, 'offset', base)}", str(error))


def _read_message(
    data: bytes,
    head: Converted,
    root: str,
    issues: tuple[Issue, ...],
    facilities: Facilities,
    facility: str,
    explain: bool,
) -> Converted:
    try:
        decoded = charset.decode(data, head.message_offset)
        message = er7.parse(decoded)
    except BadInput as error:
        return replace(head, error=_unreadable(error, head.message_offset))
    msh = message.segments[0]
    chosen, found = facilities.resolve(facility, msh[4], root)
    data_type = head.name.data_type if head.name else _data_type(message)
    context = Context(chosen, facilities, data_type, memory=facilities.memory(chosen))
    context.issues += [*message.issues, *issues, *found]
    if explain:
        context.lineage = []
    pid, missing = find_patient(message)
    sent_at = times.fhir_datetime(component(msh[7], 1), context.zone) or ""
    known: dict[str, Any] = {
        "charset": message.charset,
        "line_ends": message.line_ends,
        "facility": chosen.oid,
        "data_type": data_type,
        "message_time": sent_at,
        "version_time": head.name.timestamp if head.name else _digits(msh[7]),
    }
    if pid is None:
        return replace(head, **known, error=missing, translated=_result(context))
    number = local_number(pid)
    if not message.terminated and (reason := looks_cut(message, data_type)):
        last = message.segments[-1]
        context.issue("error", "truncated", f"{last.name}[{last.ordinal}]", reason)
    context.key = _key(message, head.name, number, data_type)
    context.message_time = sent_at
    context.version_time = known["version_time"]
    context.source = "|".join((chosen.oid, *context.key, head.sha256))
    if head.name and head.name.patient_id != number:
        text = "PID-3 is not the patient number of the file name"
        context.issue("error", "patient-mismatch", "PID[1]-3", text)
    return replace(
        head,
        **known,
        key=context.key,
        patient_id=PatientId(number, chosen.oid),
        translated=_translate(message, pid, number, head, context),
    )


def _translate(message: Message, pid: Segment, number: str, head: Converted, context: Context) -> Translated:
    structure = STRUCTURES.get(context.data_type, OTHER)
    start(message, pid, number, structure.rules, context)
    structure.translate(message, context)
    record = provenance(message, structure.rules, context, head.sha256, head.file)
    record["target"] = [{"reference": f"{type_}/{id_}"} for type_, id_ in context.resources]
    if context.events:
        context.events = [replace(event, provenance=record) for event in context.events]
    else:
        context.add(record)
    return _result(context, person_key(pid, context.insured, context))


def _result(context: Context, person: Any = None) -> Translated:
    return Translated(
        resources=tuple(context.resources.values()),
        issues=tuple(context.issues),
        residue=tuple(context.residue),
        unmapped=tuple(context.unmapped),
        lineage=tuple(context.lineage or ()),
        stay_events=tuple(context.events),
        person=person,
    )


def _digits(raw: str) -> str:
    """MSH-7 in the 17-digit form of file timestamps, for comparing versions."""
    digits = component(raw, 1).split("+")[0].split("-")[0].replace(".", "")
    return digits[:17].ljust(17, "0") if digits.isdigit() else ""


def _data_type(message: Message) -> str:
    msh = message.segments[0]
    message_type = "^".join((component(msh[9], 1), component(msh[9], 2)))
    found = table("message-types").get(message_type, message_type)
    pv1 = message.first("PV1")
    if found == "ADT-22" and pv1 is not None and component(pv1[2], 1) == "O":
        return "ADT-12"
    if found in ("OMP-01", "OMP-11") and _is_injection(message):
        return {"OMP-01": "OMP-02", "OMP-11": "OMP-12"}[found]
    return found


def _is_injection(message: Message) -> bool:
    if message.first("RXC") is not None:
        return True
    rxe = message.first("RXE")
    return rxe is not None and any(name in rde_o11.INJECTION_KINDS for name in rxe[2].split("^")[2:6:3])


def _key(message: Message, name: FileName | None, number: str, data_type: str) -> tuple[str, str, str, str]:
    """Key of the document. A message without a storage name gets the one its storage file would have: the care date
    of its type, its order number, else its filler number, else patient and test and time, else MSH-10."""
    if name is not None:
        return (number, name.care_date, data_type, _padded(name.order_no))
    where = ssmix2.DATA_TYPES[data_type].care_date if data_type in ssmix2.DATA_TYPES else "-"
    segment, _, number_of_field = where.partition("-")
    found = message.first(segment) if segment else None
    care_date = times.fhir_date(component(found[int(number_of_field)], 1)) if found else None
    return (number, (care_date or "-").replace("-", "") or "-", data_type, _padded(_order_number(message, data_type)))


def _order_number(message: Message, data_type: str) -> str:
    if data_type.startswith("ADT") or data_type == "PPR-01":
        return NO_ORDER
    orc, obr = message.first("ORC"), message.first("OBR")
    for segment, number in ((orc, 2), (obr, 2), (orc, 3), (obr, 3)):
        if segment is not None and component(segment[number], 1):
            return component(segment[number], 1)
    if obr is not None and obr[4] and obr[7]:
        return f"{component(obr[4], 1)}@{component(obr[7], 1)}"
    return component(message.segments[0][10], 1)


def _padded(order_no: str) -> str:
    """Order numbers are 15 digits, zero padded; some senders leave the zeros out."""
    return order_no.zfill(15) if order_no.isdigit() else order_no
