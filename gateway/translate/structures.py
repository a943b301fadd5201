"""Which rules and which function read each SS-MIX2 data type. One line a data type; a new one is added here."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.codec.er7 import Message
from gateway.translate import adt, oul_r22, ppr_zd1, rde_o11
from gateway.translate.common import HEAD, Rules, leave
from gateway.translate.context import Context


@dataclass(frozen=True, slots=True)
class Structure:
    """How messages of one data type are read."""

    rules: Rules
    """Rows of the message; MSH and PID are read by them in any case."""
    translate: Callable[[Message, Context], None]
    """Everything but MSH, PID and the Provenance: adds resources, stay events, issues and residue to the context."""
    more: tuple[Rules, ...] = ()
    """Further rows that `translate` uses, for one segment in another role."""


def _keep(message: Message, context: Context) -> None:
    """A data type nobody translates: the patient and the original are kept, all else is residue."""
    context.issue("warning", "type-not-translated", "MSH[1]-9", "this data type is kept, but not translated yet")
    leave([s for s in message.segments if s.name not in ("MSH", "PID")], OTHER.rules, context)


OTHER = Structure(Rules(**HEAD, PV1=("None",)), _keep)

STRUCTURES: dict[str, Structure] = {
    "ADT-00": Structure(adt.BASICS, adt.basics),
    "ADT-12": Structure(adt.VISIT, adt.visit),
    "ADT-22": Structure(adt.VISIT, adt.stay_event),
    "ADT-52": Structure(adt.VISIT, adt.stay_event),
    "PPR-01": Structure(ppr_zd1.RULES, ppr_zd1.translate),
    "OMP-01": Structure(rde_o11.ORAL, rde_o11.translate),
    "OMP-02": Structure(rde_o11.INJECTION, rde_o11.translate),
    "OML-11": Structure(oul_r22.RULES, oul_r22.translate, more=(oul_r22.NOTES,)),
}

for _structure in (OTHER, *STRUCTURES.values()):
    for _rules in (_structure.rules, *_structure.more):
        if not _rules.segments:
            _rules.compile()
