"""IPC -> ImagingStudy (画像検査). IPC stands under every order of a message; one Study Instance UID is one study.

What IPC does not tell is not there: no series, no number of images, and no status, which is `unknown`. HL7 v2.5 4.5.6,
JP_ImagingStudy_Radiology; endoscopy has no profile in JP Core 1.2.0.
"""

import re
from dataclasses import dataclass, field

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, component
from gateway.translate.examination import order_reference
from gateway.translate.ids import local_system
from gateway.translate.leavings import all_but, place
from gateway.translate.people import resource
from gateway.translate.rules import SegmentRules, aim, converter, mark, table

DICOM_UID = "urn:dicom:uid"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST_UID = 64
"""Characters of a UID (DICOM PS3.5 9.1)."""


@dataclass(slots=True, eq=False)
class Study:
    """What all IPC of one study say."""

    id: str
    first: Segment
    body: Fragment = field(default_factory=dict)
    orders: dict[str, None] = field(default_factory=dict)
    procedures: dict[str, None] = field(default_factory=dict)
    times: Fragment = field(default_factory=dict)
    words: str = ""
    cancelled: bool = True
    """Every order that names it is cancelled."""


class Studies:
    """The studies of one message, found by Study Instance UID, else accession number, else their order."""

    def __init__(self, rules: SegmentRules, context: Context) -> None:
        self._rules = rules
        self._context = context
        self._found: dict[tuple[str, str], Study] = {}
        self.made: list[Study] = []

    def add(self, ipc: Segment, numbers: list[str]) -> Study:
        """Reads one IPC under the order of these numbers."""
        context = self._context
        uid, accession = component(ipc[3], 1), component(ipc[1], 1)
        keys = [(kind, value) for kind, value in (("uid", uid), ("accession", accession)) if value]
        keys = keys or [("order", "|".join(numbers))]
        study = self._found.get(keys[0]) or (None if uid else self._found.get(keys[-1]))
        if study is None:
            study = Study(context.id("ImagingStudy", *context.key, *keys[0]), ipc)
            self.made.append(study)
        for key in keys:
            self._found.setdefault(key, study)
        extra: Fragment = {}
        since = mark(context)
        self._rules.apply(ipc, {"ImagingStudy": extra}, context)
        aim(context, since, "ImagingStudy/.", f"ImagingStudy/{study.id}.")
        for name, values in extra.items():
            here = study.body.setdefault(name, [])
            study.body[name] = here + [value for value in values if value not in here]
        study.orders |= dict.fromkeys(numbers)
        return study

    def finish(self, profile: str) -> None:
        """Adds the ImagingStudies to the message."""
        context = self._context
        for study in self.made:
            made = resource("ImagingStudy", study.id, profile)
            made |= {"identifier": study.body["identifier"]} if "identifier" in study.body else {}
            made["status"] = "entered-in-error" if study.cancelled else "unknown"
            if not study.cancelled:
                context.issue("warning", "no-status", place(study.first, 3), "IPC does not tell the state of the study")
            if "modality" in study.body:
                made["modality"] = study.body["modality"]
            made["subject"] = context.subject()
            started = study.times.get("performedDateTime") or study.times.get("performedPeriod", {}).get("start")
            if started:
                made["started"] = started
            if study.orders:
                made["basedOn"] = [order_reference(number) for number in study.orders]
            if len(study.procedures) == 1:
                made["procedureReference"] = {"reference": f"Procedure/{next(iter(study.procedures))}"}
            if study.words:
                made["description"] = study.words
            context.add(made)


# -- converters -------------------------------------------------------------------------------------------------------


def _identifier(raw: str, name: str, context: Context) -> Fragment | None:
    """EI: the number; namespaces are residue."""
    value = component(raw, 1)
    return {"system": local_system(context.facility.oid, name), "value": value} if value else None


@converter(1)
def accession_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IPC-1 (受付番号)."""
    found = _identifier(raw, "accession-number", context)
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
    return {"type": kind, **found} if found else None


@converter(1)
def requested_procedure(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IPC-2 (検査要求ID, DICOM 0040,1001)."""
    return _identifier(raw, "requested-procedure-id", context)


@converter(1)
def scheduled_step(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IPC-4 (DICOM 0040,0009)."""
    return _identifier(raw, "scheduled-procedure-step-id", context)


@converter(1)
def study_uid(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IPC-3. What is no UID is kept as an identifier of the facility's own and reported."""
    uid = component(raw, 1).strip()
    if uid and (not _UID.fullmatch(uid) or len(uid) > _LONGEST_UID):
        context.issue("warning", "bad-uid", place(segment, 3), "not a UID as DICOM writes them")
        return _identifier(raw, "study-instance-uid", context)
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"} if uid else None


_BEYOND_MODALITY = all_but(1, words=((3, frozenset({"DCM"})),))


@converter(rest=_BEYOND_MODALITY)
def modality(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IPC-5. The binding is required, so a code that DICOM has not is residue."""
    code = component(raw, 1)
    if not code:
        return None
    if code not in table("dicom-modality"):
        context.issue("warning", "code-unknown", place(segment, 5), "the code is not in the table dicom-modality")
        context.keep(place(segment, 5), raw)
        return None
    return {"system": DCM, "code": code}
