"""Segments of laboratory orders and results -> one group an OBR (検査依頼グループ).

OUL^R22: { SPM { OBR [ORC] [{NTE}] [{TQ1}] [{OBX [{NTE}]}] } }; OML^O33: { SPM { ORC [{TQ1}] OBR [{OBX}] } };
ORU^R01, OML^O21 and OUL^R24: { [ORC] OBR [{NTE}] [{TQ1}] [{OBX [{NTE}]}] [{SPM}] }, the specimen after what it belongs to
(HL7 v2.5 4.4.6, 4.4.8, 7.3.1, 7.3.2; JAHIS laboratory).
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate.datatypes import component


@dataclass(slots=True)
class Group:
    """One OBR with what belongs to it."""

    specimens: list[Segment]
    obr: Segment | None = None
    orc: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    results: list[tuple[Segment, list[Segment]]] = field(default_factory=list)
    """Each OBX with its NTEs."""


def grouped(message: Message) -> tuple[list[Group], list[Segment]]:
    """Segments -> groups, and the segments that belong to none.

    A group ends where the next OBR (or the next ORC before an OBR, or the next SPM) begins: groups without OBX must
    not swallow the results of the following one.
    """
    last = _specimen_last(message)
    orc_first = last and component(message.segments[0][9], 1) != "OUL"
    groups: list[Group] = []
    rest: list[Segment] = []
    specimens: list[Segment] = []
    current: Group | None = None
    for segment in message.segments:
        match segment.name:
            case "MSH" | "PID":
                continue
            case "SPM" if last and current is not None:
                current.specimens.append(segment)
            case "SPM":
                specimens, current = [segment], Group([segment])
                groups.append(current)
            case "OBR":
                if current is None or current.obr is not None or current.results:
                    groups.append(current := Group([] if last else specimens))
                current.obr = segment
            case "ORC":
                if (
                    current is None
                    or current.orc is not None
                    or current.results
                    or (orc_first and current.obr is not None)
                ):
                    groups.append(current := Group([] if last else specimens))
                current.orc = segment
            case "OBX":
                if current is None:
                    groups.append(current := Group([] if last else specimens))
                current.results.append((segment, []))
            case "TQ1" if current is not None and (current.obr or current.orc):
                current.timings.append(segment)
            case "NTE" if current is not None and (current.obr or current.orc or current.results):
                (current.results[-1][1] if current.results else current.notes).append(segment)
            case _:
                rest.append(segment)
    return groups, rest


def _specimen_last(message: Message) -> bool:
    """Whether the message's SPM follow the groups they belong to: so say its type and the first of them."""
    msh9 = message.segments[0][9]
    if component(msh9, 1) != "ORU" and (component(msh9, 1), component(msh9, 2)) not in _SPECIMEN_LAST:
        return False
    first = next((s.name for s in message.segments if s.name in ("SPM", "OBR")), "")
    return first == "OBR"


_SPECIMEN_LAST = frozenset({("OML", "O21"), ("OUL", "R24")})
