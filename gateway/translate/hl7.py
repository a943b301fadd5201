"""HL7 v2 messages, from an SS-MIX2 storage or by themselves: a file's bytes in, translated messages out.

One file holds one message, or several (batch, concatenation); each becomes one `Converted`. The data type of an
SS-MIX2 file name decides the structure before MSH-9 does; a message without such a name is judged by MSH-9 and content.
"""

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.codec import charset, er7, ssmix2
from gateway.codec.er7 import Message, Segment
from gateway.codec.ssmix2 import NO_ORDER, FileName, Place, padded
from gateway.errors import BadInput, LimitExceeded
from gateway.model.identity import Authority, PatientId
from gateway.model.outcome import Issue, Translated
from gateway.translate import routing, times
from gateway.translate.common import SOURCE, order_number, provenance, start
from gateway.translate.completeness import looks_cut
from gateway.translate.context import Context, Facilities
from gateway.translate.converted import Converted
from gateway.translate.datatypes import component
from gateway.translate.patient_ids import find_patient, home_of, local_number, person_key
from gateway.translate.result_parts import in_parts
from gateway.translate.rules import table
from gateway.translate.structures import site_segments, structure_of


def recognises(data: bytes, path: str) -> bool:
    """Whether a message header, or the head of a batch, stands at the beginning, after what senders put before it."""
    return data[:256].lstrip(b"\xef\xbb\xbf\x0b\r\n \t\x00")[:3] in (b"MSH", b"FHS", b"BHS")


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """Every message of one file, translated. Never raises on bad input: the reason stands in `Converted.error`."""
    where = ssmix2.place(path)
    file = path.replace("\\", "/").rpartition("/")[2]
    digest = hashlib.sha256(data).hexdigest()
    name = where.name
    try:
        messages = charset.split_messages(data)
        if not messages:
            raise BadInput("the file holds no HL7 message")
    except BadInput as error:
        return [Converted(SOURCE, file, 0, digest, name=name, error=_unreadable(error, 0))]
    if len(messages) > 1:
        pieces = [_Piece(SOURCE, file, at, hashlib.sha256(part).hexdigest(), part, None) for at, part in messages]
    else:
        if name is not None and name.data_type != where.data_type:
            name = name._replace(data_type=where.data_type)
        pieces = [_Piece(SOURCE, file, at, digest, part, name) for at, part in messages]
    return [_read_message(piece, where, facilities, facility, explain) for piece in pieces]


class _Piece(NamedTuple):
    """One message of a file: what `Converted` begins with."""

    source: str
    file: str
    message_offset: int
    sha256: str
    original: bytes
    name: FileName | None


def _unreadable(error: BadInput, base: int) -> Issue:
    code = "too-large" if isinstance(error, LimitExceeded) else "not-hl7"
    return Issue("fatal", code, f"byte {getattr(error, 'offset', base)}", str(error))


def _read_message(piece: _Piece, where: Place, facilities: Facilities, facility: str, explain: bool) -> Converted:
    try:
        decoded = charset.decode(piece.original, piece.message_offset)
        message = er7.parse(decoded)
    except BadInput as error:
        return Converted(*piece, error=_unreadable(error, piece.message_offset))
    msh = message.segments[0]
    chosen, found = facilities.resolve(facility, msh[4], where.root)
    if not facility and piece.name is None:
        chosen, found = _patients_own(message, chosen, found, facilities)
    data_type = piece.name.data_type if piece.name else routing.data_type(message)
    context = Context(chosen, facilities, data_type, memory=facilities.memory(chosen))
    conflicts = ssmix2.check_path(where.folders, where.name) if where.name is not None else ()
    context.issues += [*message.issues, *conflicts, *found]
    if explain:
        context.lineage = []
    pid, missing = find_patient(message, chosen, facilities)
    sent_at = times.fhir_datetime(component(msh[7], 1), context.zone) or ""
    known: dict[str, Any] = {
        "charset": message.charset,
        "line_ends": message.line_ends,
        "facility": chosen.oid,
        "data_type": data_type,
        "message_time": sent_at,
        "version_time": piece.name.timestamp if piece.name else _digits(msh[7]),
    }
    kind = table("identity-feeds").get(f"{component(msh[9], 1)}^{component(msh[9], 2)}", "")
    if piece.name is None and kind:
        known["feeds"] = kind
        known["version_time"] = feed_time(known["version_time"], kind)
    elif kind in _MERGES:  # in a storage file too; its Patient is a mention, whatever the data type of the file says
        known["feeds"] = kind
    if pid is None:
        return Converted(*piece, **known, error=missing, translated=_result(context))
    number = local_number(pid, chosen, facilities)
    kind = data_type if data_type in ssmix2.DATA_TYPES else routing.data_type(message)
    if not message.terminated and (reason := looks_cut(message, kind)):
        last = message.segments[-1]
        context.issue("error", "truncated", f"{last.name}[{last.ordinal}]", reason)
    context.key = _key(message, piece.name, where.part, number, data_type)
    context.filed = piece.name is not None
    context.message_time = sent_at
    context.version_time = known["version_time"]
    context.source = "|".join((chosen.oid, *context.key, piece.sha256))
    if piece.name and piece.name.patient_id != number:
        text = "PID-3 is not the patient number of the file name"
        context.issue("error", "patient-mismatch", "PID[1]-3", text)
    made = Converted(
        *piece,
        **known,
        key=context.key,
        patient_id=PatientId(number, chosen.oid),
        translated=_translate(message, pid, number, piece, context),
    )
    return made if context.filed or not structure_of(data_type, message).results else in_parts(made)


def _patients_own(
    message: Message, chosen: Authority, found: tuple[Issue, ...], facilities: Facilities
) -> tuple[Authority, tuple[Issue, ...]]:
    """The facility of a message without a storage name: where PID-3 has no number of the sender's, the known facility
    whose number it has."""
    pid = message.first("PID")
    home = home_of(pid, chosen, facilities) if pid is not None else chosen
    if home is chosen:
        return chosen, found
    if any(issue.code == "facility-unknown" for issue in found):
        text = "the sending facility is not in [[authorities]]; the authority of the patient number is"
        return home, (Issue("warning", "facility-unknown", "MSH[1]-4", text),)
    return home, (Issue("warning", "facility-conflict", "MSH[1]-4", "names another known facility than the one used"),)


def _translate(message: Message, pid: Segment, number: str, piece: _Piece, context: Context) -> Translated:
    structure = structure_of(context.data_type, message)
    start(message, pid, number, structure.rules, context)
    structure.translate(_without_site_segments(message, context), context)
    record = provenance(message, structure.rules, context, piece.sha256, piece.file)
    record["target"] = [{"reference": f"{type_}/{id_}"} for type_, id_ in context.resources]
    if context.events:
        context.events = [replace(event, provenance=record) for event in context.events]
    else:
        context.add(record)
    return _result(context, person_key(pid, context.insured, context))


def _without_site_segments(message: Message, context: Context) -> Message:
    """The message as our structures know it; what only the site's overlay reads is read here."""
    site = site_segments()
    if not site or not any(segment.name in site for segment in message.segments):
        return message
    for segment in message.segments:
        if segment.name in site:
            site[segment.name].apply(segment, {"Patient": context.person}, context)
    return replace(message, segments=[segment for segment in message.segments if segment.name not in site])


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


_MERGES = frozenset({"merge", "change-id"})
_TURNS = {"add": "0", "revise": "1"}


def feed_time(time: str, kind: str) -> str:
    """A registration, its revision and a merge often come within one second, of which MSH-7 says no parts: they count
    in that order. `time`: 17 digits; `kind`: of the table identity-feeds."""
    return f"{time[:16]}{_TURNS.get(kind, '2')}" if time.endswith("000") else time


def _digits(raw: str) -> str:
    """MSH-7 in the 17-digit form of file timestamps, for comparing versions."""
    digits = component(raw, 1).split("+")[0].split("-")[0].replace(".", "")
    return digits[:17].ljust(17, "0") if digits.isdigit() else ""


def _key(message: Message, name: FileName | None, part: str, number: str, data_type: str) -> tuple[str, str, str, str]:
    """Key of the document. A message without a storage name gets the one its storage file would have: the care date
    of its type, its order number, else its filler number, else patient and test and time, else MSH-10."""
    if name is not None:
        return (number, name.care_date, data_type, "/".join(filter(None, (padded(name.order_no), part))))
    where = ssmix2.DATA_TYPES[data_type].care_date if data_type in ssmix2.DATA_TYPES else "OBR-7"
    segment, _, number_of_field = where.partition("-")
    found = message.first(segment) if segment else None
    care_date = times.fhir_date(component(found[int(number_of_field)], 1)) if found else None
    order = PID_ONLY if _only_pid(message, data_type) else padded(_order_number(message, data_type))
    if mrg := message.first("MRG"):  # a merge says little of its patient: it never takes the place of what says more
        order = f"{mrg.name}/{component(mrg[1], 1)}"
    return (number, (care_date or "-").replace("-", "") or "-", data_type, order)


PID_ONLY = "PID"
"""Order number of patient basics that hold nothing but the person (ITI-8, ITI-30): a key of their own, so that they never
take the place of basics with allergies, insurances and contacts."""
_MORE_THAN_PID = frozenset({"NK1", "DB1", "OBX", "AL1", "IN1"})


def _only_pid(message: Message, data_type: str) -> bool:
    return data_type == "ADT-00" and not any(segment.name in _MORE_THAN_PID for segment in message.segments)


def _order_number(message: Message, data_type: str) -> str:
    if data_type.startswith("ADT") or data_type == "PPR-01":
        return NO_ORDER
    return order_number(message.first("ORC"), message.first("OBR")) or component(message.segments[0][10], 1)
