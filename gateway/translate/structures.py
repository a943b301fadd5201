"""Which rules and which function read each SS-MIX2 data type. One line a data type; a new one is added here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from gateway import mapping_files
from gateway.codec.er7 import Message
from gateway.errors import ConfigurationError
from gateway.translate import (
    adt,
    adt_allergy,
    adt_movement,
    omd_o03,
    omg_o19,
    omi_z23,
    oml_o33,
    oru_r01,
    oul_r22,
    ppr_zd1,
    ras_o17,
    rde_o11,
    rds_o13,
    routing,
)
from gateway.translate.common import HEAD, SOURCE, Rules, leave
from gateway.translate.context import Context
from gateway.translate.rules import SegmentRules


@dataclass(frozen=True, slots=True)
class Structure:
    """How messages of one data type are read."""

    rules: Rules
    """Rows of the message; MSH and PID are read by them in any case."""
    translate: Callable[[Message, Context], None]
    """Everything but MSH, PID and the Provenance: adds resources, stay events, issues and residue to the context."""
    more: tuple[Rules, ...] = ()
    """Further rows that `translate` uses, for one segment in another role."""
    results: bool = False
    """Reports of one order may come in messages of their own where no storage file holds it whole (result_parts.py)."""


def _keep(message: Message, context: Context) -> None:
    """A data type nobody translates: the patient and the original are kept, all else is residue."""
    context.issue("warning", "type-not-translated", "MSH[1]-9", "this data type is kept, but not translated yet")
    leave([s for s in message.segments if s.name not in ("MSH", "PID")], OTHER.rules, context)


OTHER = Structure(Rules(**HEAD, PV1=("None",)), _keep)

STRUCTURES: dict[str, Structure] = {
    "ADT-00": Structure(adt.BASICS, adt.basics, more=(adt.SELF,)),
    "ADT-12": Structure(adt.VISIT, adt.visit),
    "ADT-01": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-21": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-22": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-31": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-32": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-41": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-42": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-51": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-52": Structure(adt_movement.RULES, adt_movement.translate),
    "ADT-61": Structure(adt_allergy.RULES, adt_allergy.translate),
    "OMD": Structure(omd_o03.RULES, omd_o03.translate),
    "PPR-01": Structure(ppr_zd1.RULES, ppr_zd1.translate),
    "OMP-01": Structure(rde_o11.ORAL, rde_o11.translate),
    "OMP-02": Structure(rde_o11.INJECTION, rde_o11.translate),
    "OMP-11": Structure(ras_o17.RULES, ras_o17.translate),
    "OMP-12": Structure(ras_o17.RULES, ras_o17.translate),
    "RDS": Structure(rds_o13.RULES, rds_o13.translate),
    "OMG-01": Structure(omg_o19.RULES, omg_o19.translate, more=(omg_o19.NOTES,)),
    "OMG-02": Structure(omg_o19.RULES, omg_o19.translate, more=(omg_o19.NOTES,)),
    "OMG-03": Structure(omg_o19.RULES, omg_o19.translate, more=(omg_o19.NOTES,)),
    "OMG-11": Structure(omi_z23.RULES, omi_z23.translate, more=omi_z23.MORE),
    "OMG-12": Structure(omi_z23.RULES, omi_z23.translate, more=omi_z23.MORE),
    "OML-01": Structure(oml_o33.RULES, oml_o33.translate, more=(oml_o33.GIVEN,)),
    "OMG-13": Structure(oru_r01.RULES, oru_r01.translate, more=(oru_r01.NOTES,), results=True),
    routing.VITAL_SIGNS: Structure(oru_r01.RULES, oru_r01.translate, more=(oru_r01.NOTES,), results=True),
    "OML-11": Structure(oul_r22.RULES, oul_r22.translate, more=(oul_r22.NOTES,), results=True),
    "OML-12": Structure(oul_r22.RULES, oul_r22.translate, more=(oul_r22.NOTES,), results=True),
}


def compile_all() -> None:
    """All rows of all structures, with those of the overlay: a broken table stops the start, not the first message."""
    for structure in (OTHER, *STRUCTURES.values()):
        for rules in (structure.rules, *structure.more):
            rules.compile()
    site_segments()


@cache
def site_segments() -> dict[str, SegmentRules]:
    """Z segments that only a site's overlay reads, into the Patient: nobody else's place in a message is known of them.

    Raises ConfigurationError for rows of a name that neither a structure of ours nor this rule reads.
    """
    ours = {
        f"{segment}-{target}"
        for structure in (OTHER, *STRUCTURES.values())
        for rules in (structure.rules, *structure.more)
        for segment, targets in rules.resources.items()
        for target in targets
    }
    known = {name.partition("-")[0] for name in ours}
    found = {}
    for name in mapping_files.site_rules_names(SOURCE):
        segment, _, target = name.partition("-")
        if name not in ours:
            if segment[:1] != "Z" or segment in known or target != "Patient":
                raise ConfigurationError(f"mapping overlay: no structure reads the rows {name}")
            found[segment] = SegmentRules(SOURCE, segment, target)
    return found


def structure_of(data_type: str, message: Message) -> Structure:
    """How a message of this data type is read. A folder of the extended storage may name a type of the sender's own;
    then MSH-9 and content decide."""
    return STRUCTURES.get(data_type) or STRUCTURES.get(routing.data_type(message), OTHER)
