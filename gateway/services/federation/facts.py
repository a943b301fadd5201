"""Many answers as one: each fact once, with a tag for every community that holds it, in one order (docs/federation.md)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from gateway.services.federation import documentary
from gateway.services.federation.fitting import rendered
from gateway.services.federation.question import DOCUMENT, Resource
from gateway.translate.document_reference import key_of

COMMUNITY_SYSTEM: Final = "urn:ietf:rfc:3986"
"""System of the tags: their code is the homeCommunityId, which is a URI."""
_PROVENANCE: Final = UUID("0b0d1b53-6c1f-5b5e-8a4f-6d9a86a9f3a1")


@dataclass(slots=True)
class Fact:
    """One resource of the joint answer."""

    home: str
    """Of the community whose form of it is shown: the first in order of homes, our own before all others."""
    resource: Resource
    moment: str
    """First instant of its date in UTC; empty when it has none."""
    updated: str
    homes: dict[str, str] = field(default_factory=dict)
    """homeCommunityId -> name of every community that holds it."""

    def tagged(self) -> dict[str, Any]:
        """The resource with its communities in meta.source and meta.tag."""
        body = dict(self.resource.body)
        given = body.get("meta")
        meta = dict(given) if isinstance(given, dict) else {}
        source = str(meta.get("source", ""))
        meta["source"] = source if source.startswith(self.home) else f"{self.home}#{source}" if source else self.home
        tags = [one for one in meta.get("tag") or () if isinstance(one, dict) and one.get("system") != COMMUNITY_SYSTEM]
        tags += [_named({"system": COMMUNITY_SYSTEM, "code": home}, name) for home, name in sorted(self.homes.items())]
        body["meta"] = meta | {"tag": tags}
        return body


def _named(coding: dict[str, str], name: str) -> dict[str, str]:
    return coding | {"display": name} if name else coding


def merge(own: str, answers: Iterable[tuple[str, str, Iterable[Resource]]], sort: str = "-date") -> list[Fact]:
    """All facts of (home, name, resources), each once, in order: by `sort` (`date`, `_lastUpdated`, `-` for newest
    first), then home, then type and id. What has no date comes last."""
    facts: dict[tuple[str, ...], Fact] = {}
    # The own community's form of a fact is shown before a peer's, whatever came first.
    for home, name, resources in sorted(answers, key=lambda one: (one[0] != own, one[0])):
        for resource in resources:
            key = key_of_fact(resource, home)
            fact = facts.get(key)
            if fact is None:
                facts[key] = fact = Fact(home, resource, _moment(resource), _updated(resource))
            fact.homes[home] = name
    ordered = sorted(facts.values(), key=lambda one: (one.home, one.resource.type, one.resource.id))
    by_update = sort.endswith("_lastUpdated")

    def when(fact: Fact) -> str:
        return fact.updated if by_update else fact.moment

    dated = sorted((one for one in ordered if when(one)), key=when, reverse=sort.startswith("-"))
    return dated + [one for one in ordered if not when(one)]


def key_of_fact(resource: Resource, home: str) -> tuple[str, ...]:
    """What makes two resources one fact: the same document; the same name-based UUID, which is made of the source's own
    keys; else the same business identifier. An id by itself (`Observation/1`) means something in its own server only."""
    if resource.type == DOCUMENT and (document := key_of(resource.body)) is not None:
        return (DOCUMENT, *document)
    if _name_based(resource.id):
        return resource.type, resource.id
    for one in resource.body.get("identifier") or ():
        if isinstance(one, dict) and one.get("system") and one.get("value"):
            return resource.type, str(one["system"]), str(one["value"])
    return home, resource.type, resource.id


def _name_based(id_: str) -> bool:
    try:
        return UUID(id_).version == 5
    except ValueError:
        return False


def _moment(resource: Resource) -> str:
    if resource.type == DOCUMENT:
        return documentary.date_of(resource.body)
    made = rendered(resource.body)
    return made.date_start if made is not None else ""


def _updated(resource: Resource) -> str:
    meta = resource.body.get("meta")
    return str(meta.get("lastUpdated", "")) if isinstance(meta, dict) else ""


def provenance(home: str, name: str, targets: list[str], recorded: str) -> dict[str, Any]:
    """Which community these resources came from, and when (FHIR R4 6.3)."""
    number = uuid5(_PROVENANCE, "|".join((home, *targets)))
    return {
        "resourceType": "Provenance",
        "id": str(number),
        "target": [{"reference": one} for one in targets],
        "recorded": recorded,
        "activity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "READ"}]},
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "custodian",
                        }
                    ]
                },
                "who": _named({}, name) | {"identifier": {"system": COMMUNITY_SYSTEM, "value": home}},
            }
        ],
    }
