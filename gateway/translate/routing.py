"""Which data type a message is that comes without a storage name: MSH-9, and content where one type has several meanings.

SS-MIX2 gives one message structure to several data types (RDE^O11, OMG^O19, OMI^Z23), and ORU carries laboratory,
physiology and vital signs alike. Code systems and codes decide (mappings/tables/{message-types,examination-kinds,
result-kinds}.csv); what they do not decide stays with the first type of the structure.
"""

from collections.abc import Callable, Iterator

from gateway.codec.er7 import Message, Segment
from gateway.translate.datatypes import component
from gateway.translate.medication import is_kind
from gateway.translate.rules import table

VITAL_SIGNS = "L-OBSERVATIONS^OBSERVATIONS^99ZL01"
"""Folder name of vital signs (バイタル) in the extended storage; the data type of ORU^R30 over MLLP as well."""


def data_type(message: Message) -> str:
    """The SS-MIX2 data type, or `type^trigger` of a message nobody knows."""
    msh = message.segments[0]
    message_type = "^".join((component(msh[9], 1), component(msh[9], 2)))
    found = table("message-types").get(message_type, message_type)
    decide = _BY_CONTENT.get(found)
    return decide(message, found) if decide else found


def _visit(message: Message, found: str) -> str:
    pv1 = message.first("PV1")
    return "ADT-12" if pv1 is not None and component(pv1[2], 1) == "O" else found


def _drug(message: Message, found: str) -> str:
    if _is_injection(message) or (found == "OMP-11" and _is_injected(message)):
        return {"OMP-01": "OMP-02", "OMP-11": "OMP-12"}[found]
    return found


def _is_injected(message: Message) -> bool:
    """RAS^O17 mostly has neither RXE nor RXC: what was given by routes of injections only is an injection."""
    routes = [component(rxr[1], 1) for rxr in message.all("RXR")]
    return bool(routes) and all(route in table("injection-routes") for route in routes)


def _is_injection(message: Message) -> bool:
    """A kind of injection in RXE-2, or a mixture (RXC) that is not for the mouth: powders are compounded as well."""
    rxe = message.first("RXE")
    if rxe is not None and is_kind(rxe[2]):
        return True
    by_mouth = any(component(rxr[1], 1) == "PO" for rxr in message.all("RXR"))
    return message.first("RXC") is not None and not by_mouth


def _examination(message: Message, found: str) -> str:
    """OMG, OMI: the system of the first OBR-4 that has a known one, else the modality in IPC-5."""
    kinds = table("examination-kinds")
    named = [f"OBR-4 {name}" for obr in message.all("OBR") for name in obr[4].split("^")[2:6:3]]
    named += [f"IPC-5 {component(ipc[5], 1)}" for ipc in message.all("IPC")]
    kind = next((kinds[name] for name in named if name in kinds), "")
    chosen = f"{found[:-1]}{kind}" if kind else found
    # A physiology examination is reported by ORU^R01; no data type has it done by OMI^Z23.
    return found if chosen == "OMG-13" else chosen


def _result(message: Message, found: str) -> str:
    """ORU: laboratory; vital signs where every coded test is one; else what MSH-9 says."""
    if of_laboratory(message):
        return "OML-11"
    kinds = [kind for obx in message.all("OBX") for kind in _kinds(obx)]
    if kinds and all(kind == "vital-signs" for kind in kinds):
        return VITAL_SIGNS
    return "OMG-13" if "physiology" in kinds else found


def of_laboratory(message: Message) -> bool:
    """Whether a result is of the laboratory: one test is by its code, or a specimen stands there."""
    if message.first("SPM") is not None:
        return True
    return any(kind == "laboratory" for obx in message.all("OBX") for kind in _kinds(obx))


def _kinds(obx: Segment) -> Iterator[str]:
    """What each JLAC10 code of OBX-3 is, by its longest known beginning (JLAC10: the first character is the field)."""
    kinds = table("result-kinds")
    parts = obx[3].split("~", 1)[0].split("^")
    for at in (0, 3):
        if len(parts) > at + 2 and parts[at + 2] in ("JC10", "JLAC10"):
            code = parts[at]
            yield next((kinds[code[:size]] for size in (5, 3, 2, 1) if code[:size] in kinds), "")


_BY_CONTENT: dict[str, Callable[[Message, str], str]] = {
    "ADT-22": _visit,
    "OMP-01": _drug,
    "OMP-11": _drug,
    "OMG-01": _examination,
    "OMG-11": _examination,
    "OMG-13": _result,
    VITAL_SIGNS: _result,
}
