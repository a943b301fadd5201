"""The URI dialects of Japan (URIの方言): JP Core 1.2.0 writes http URIs where 1.1.2 wrote OIDs. Pure functions.

One alias table says which names are one system: `mappings/tables/system-aliases.csv` (the NamingSystems of both
versions) with the `oid` column of code-systems.csv, where a site adds its own. Everything is stored in the form of
1.2.0; `rewritten` gives a resource in another dialect, `canonical` brings any name back.

`clins` is the sharing service of electronic records (電子カルテ情報共有サービス): the http URIs, with the profile names
of 1.1.2 on which its packages are built.
"""

import re
from functools import cache
from typing import Any, Final

from gateway import mapping_files

Json = dict[str, Any]

NOW: Final = "1.2.0"
DIALECTS: Final = (NOW, "1.1.2", "clins")

CORE = "http://jpfhir.jp/fhir/core/StructureDefinition/"

_OID = re.compile(r"(?:urn:oid:([0-2](?:\.(?:0|[1-9][0-9]*))+)|([0-2](?:\.(?:0|[1-9][0-9]*)){3,}))(?:&?ISO)?")
"""Without `urn:oid:` it takes four numbers: a short one may be a version or a name of the sender's."""
_URI = re.compile(r"(?:https?://|urn:(?!oid:))[!-~]+")


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    """(other name, http form) of each alias, in the order of the tables."""
    found = {row["oid"]: row["http"] for row in mapping_files.records("system-aliases")}
    for row in mapping_files.records("code-systems"):
        if row["oid"]:
            found.setdefault(row["oid"], row["system"])
    return tuple(found.items())


@cache
def _canonical() -> dict[str, str]:
    """Any name -> the one that JP Core 1.2.0 prefers."""
    found = {other: http for other, http in pairs() if other != http}
    for row in mapping_files.records("system-aliases"):
        if row["preferred"] == "oid":
            found.pop(row["oid"], None)
            found[row["http"]] = row["oid"]
    return found


@cache
def _systems(dialect: str) -> dict[str, str]:
    """The form of 1.2.0 -> the form of the dialect, where they differ."""
    if dialect != "1.1.2":
        return {}
    marked = {row["http"]: row["oid"] for row in mapping_files.records("system-aliases") if row["v1_1_2"] == "yes"}
    preferred = {
        row["http"]: row["oid"] for row in mapping_files.records("system-aliases") if row["preferred"] == "oid"
    }
    known = {row["http"] for row in mapping_files.records("system-aliases")}
    site = {http: other for other, http in pairs() if http not in known}
    return {http: other for http, other in {**site, **marked}.items() if http not in preferred}


@cache
def _profiles(dialect: str) -> dict[str, str]:
    """Profile of 1.2.0 -> the nearest one of the dialect; empty: none of them."""
    if dialect == NOW:
        return {}
    rows = mapping_files.records("profile-aliases")
    return {CORE + row["profile"]: CORE + row["v1_1_2"] if row["v1_1_2"] else "" for row in rows}


def canonical(uri: str) -> str:
    """The name of a code or identifier system as JP Core 1.2.0 writes it; one that has no other name stays."""
    return _canonical().get(uri, uri)


def system_of(name: str) -> str:
    """A coding-system name of an HL7 message that is itself an OID or a URI (`1.2.392...`, `1.2.392...&ISO`,
    `urn:oid:...`, `http://...`, `NAME&1.2.392...&ISO`) -> the URI of 1.2.0; "" for any other name."""
    parts = name.split("&")
    if len(parts) == 3 and parts[2] == "ISO":
        name = parts[1]
    if found := _OID.fullmatch(name):
        return canonical(f"urn:oid:{found[1] or found[2]}")
    return canonical(name) if _URI.fullmatch(name) else ""


def rewritten(resource: Json, dialect: str) -> Json:
    """The resource (or Bundle) in another dialect; itself when nothing differs. Systems of Coding, Identifier and
    Quantity are replaced, and meta.profile; parts that do not change are shared with the original, never changed."""
    if dialect == NOW:
        return resource
    made: Json = _walk(resource, _systems(dialect), _profiles(dialect))
    return made


def _walk(value: Any, systems: dict[str, str], profiles: dict[str, str]) -> Any:
    if value.__class__ is dict:
        changed: Json = {}
        for key, inner in value.items():
            if key == "system" and inner.__class__ is str:
                new: Any = systems.get(inner, inner)
            elif key == "meta" and inner.__class__ is dict:
                new = _meta(_walk(inner, systems, profiles), profiles)
            elif inner.__class__ is dict or inner.__class__ is list:
                new = _walk(inner, systems, profiles)
            else:
                continue
            if new is not inner:
                changed[key] = new
        if not changed:
            return value
        return {key: made for key, inner in value.items() if (made := changed.get(key, inner)) != {}}
    if value.__class__ is list:
        items = [_walk(one, systems, profiles) for one in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _meta(meta: Json, profiles: dict[str, str]) -> Json:
    declared = meta.get("profile")
    if declared.__class__ is not list or not any(one in profiles for one in declared):
        return meta
    kept = [new for one in declared if (new := profiles.get(one, one))]
    return {key: kept if key == "profile" else inner for key, inner in meta.items() if key != "profile" or kept}
