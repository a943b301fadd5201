"""Results that come as messages by themselves: each report (one OBR group) has versions of its own.

A storage file (SS-MIX2) holds an order whole, so its next version replaces all of it. A laboratory that sends over MLLP
may send the groups of one order as they get ready, in messages of their own (JAHIS laboratory, OUL^R22; HL7 v2.5
7.3.2): there a later message replaces only the groups it carries.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.translate.converted import Converted, Part

Resource = dict[str, Any]
_Resources = Mapping[str, Resource]

_MEMBERS = ("result", "specimen", "hasMember", "derivedFrom", "media")
"""Elements whose references lead from a report to what belongs to it."""


def in_parts(one: Converted) -> Converted:
    """The same message with a Part for each of its reports; as it is where it has none.

    A part is known by the id of its DiagnosticReport, which is made of order number and group. It holds everything
    that the report leads to (a specimen of two reports is in both) and the Provenance. The message as a whole keeps
    the rest; its key names its groups too, so that the document of one message is replaced by a message of the same
    groups and not by those of others.
    """
    known = {f"{resource['resourceType']}/{resource['id']}": resource for resource in one.translated.resources}
    reports = [name for name in known if name.startswith("DiagnosticReport/")]
    if not reports:
        return one
    always = [resource for resource in known.values() if resource["resourceType"] == "Provenance"]
    patient, care_date, data_type, order_no = one.key
    parts = tuple(
        Part(
            key=(patient, "-", data_type, name),
            version_time=one.version_time,
            sha256=one.sha256,
            resources=(*_reached(name, known), *always),
            revised=False,
        )
        for name in reports
    )
    groups = hashlib.sha256("|".join(sorted(reports)).encode()).hexdigest()[:16]
    return replace(one, key=(patient, care_date, data_type, f"{order_no}/{groups}"), parts=parts)


def _reached(name: str, known: _Resources) -> Iterator[Resource]:
    """A resource and all it leads to, each once."""
    seen = {name: None}
    todo = [name]
    while todo:
        resource = known[todo.pop()]
        yield resource
        new = [found for found in _references(resource) if found in known and found not in seen]
        seen |= dict.fromkeys(new)
        todo += new


def _references(resource: Resource) -> Iterable[str]:
    for element in _MEMBERS:
        found = resource.get(element, ())
        for one in (found,) if isinstance(found, dict) else found:
            reference = one.get("link", one).get("reference")
            if reference:
                yield reference
