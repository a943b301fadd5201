"""Stored FHIR -> exchange files (section 9): the way back of observations.py, digit for digit.

Resources are given one by one in any order. What was made by us comes back whole; an Observation of somebody else is
exported when its codes, its device or laboratory and the mandatory items can be read from it, and is counted when not:
a record without a mandatory item would be refused by whoever reads it, and nothing is filled in.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, Final

from gateway.model.outcome import Issue
from gateway.translate import times
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.envelope import RawRecord
from gateway.translate.exchange_spec.findings import sheet_code
from gateway.translate.exchange_spec.grouping import Groups, Shapes, piece_of, put, steps_of
from gateway.translate.exchange_spec.items import DEVICE, RecordType, dialect, record_types
from gateway.translate.exchange_spec.observations import (
    CODES,
    IDENTIFIER,
    POSITION,
    extension,
    key_parts,
    systems,
    views,
)
from gateway.translate.exchange_spec.records import check
from gateway.translate.exchange_spec.registers import Registers

Fragment = dict[str, Any]

DIALECTS: Final = ("seed", "h28")
_JAPAN: Final = timezone(timedelta(hours=9))
_SOURCE: Final = "urn:hx:"
_LIVE: Final = frozenset({"final", "corrected", "amended"})
"""Statuses of Observations that are worth sending."""


@dataclass(slots=True)
class _Found:
    """One record as far as its Observations have shown it."""

    type: RecordType
    consortium: str = ""
    person: str = ""
    values: Fragment = field(default_factory=dict)
    unknown: Fragment = field(default_factory=dict)
    patient: str = ""
    device: str = ""
    lab: str = ""
    first: tuple[str, ...] = ()
    """Smallest id of its Observations: the last resort of order."""


@dataclass(slots=True)
class _File:
    """What a Provenance of ours tells of one file."""

    rank: tuple[str, int, str]
    """(send time, position of the person in the file, id)"""
    version: str
    targets: list[str]
    groups: Shapes
    unknown: Fragment
    header: Fragment
    empty: list[str]


@dataclass(slots=True)
class Returning:
    """Collects resources; `files` gives one exchange file a consortium."""

    registers: Registers = field(default_factory=Registers)
    """For the ranges that were accepted; lists are not asked again."""
    written: int = 0
    """Records in what `files` gave."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Why something was not exported -> how many Observations or records."""
    _records: dict[str, _Found] = field(default_factory=dict)
    _devices: dict[str, Fragment] = field(default_factory=dict)
    _labs: dict[str, str] = field(default_factory=dict)
    _people: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Logical id of a Patient of ours -> (consortium, person id)."""
    _files: dict[str, list[_File]] = field(default_factory=dict)
    """Logical id of the Patient -> the files that told of it."""

    def add(self, resource: Fragment) -> None:
        kind = resource["resourceType"]
        if kind == "Observation":
            self._observation(resource)
        elif kind == "Device":
            names = zip(DEVICE, ("manufacturer", "modelNumber", "serialNumber"), strict=True)
            self._devices[resource["id"]] = {item: resource[name] for item, name in names if name in resource}
        elif kind == "Organization":
            for one in resource.get("identifier", ()):
                if str(one.get("system", "")).endswith("/test_lab_id"):
                    self._labs[resource["id"]] = one.get("value", "")
        elif kind == "Patient" and (consortium := _consortium(resource)):
            self._people[resource["id"]] = (consortium, resource["identifier"][0]["value"])
        elif kind == "Provenance" and _consortium(resource) and "recorded" in resource:
            self._provenance(resource)

    def files(self, names: str = "seed") -> list[Fragment]:
        """One envelope a consortium, in order of consortium ids. `names`: seed or h28, how items are called."""
        people: dict[str, dict[str, list[tuple[str, _Found]]]] = {}
        for key, found in self._records.items():
            consortium, person = self._whose(found)
            if not person:
                self.skipped["no-person"] += 1
            else:
                people.setdefault(consortium, {}).setdefault(person, []).append((key, found))
        patients = {whose: id_ for id_, whose in self._people.items()}
        for consortium, person in self._people.values():
            people.setdefault(consortium, {}).setdefault(person, [])
        return [
            self._envelope(consortium, people[consortium], patients, dialect(names)) for consortium in sorted(people)
        ]

    # -- in -----------------------------------------------------------------------------------------------------------

    def _observation(self, one: Fragment) -> None:
        if one.get("status") not in _LIVE:
            self.skipped["status"] += 1
            return
        known = _identified(one) or _recognised(one)
        if known is None:
            self.skipped["other-kind"] += 1
            return
        key, type_, item = known
        found = self._records.setdefault(key, _Found(type_))
        found.first = min(found.first, (one["id"],)) if found.first else (one["id"],)
        found.patient = found.patient or _id_of(one.get("subject"))
        found.device = found.device or _id_of(one.get("device"))
        performers = [_id_of(who) for who in one.get("performer", ()) if "Organization/" in who.get("reference", "")]
        found.lab = found.lab or next(iter(performers), "")
        if key.count("|") >= 4:
            _from_key(found, key)
        _items(found, one, item)

    def _provenance(self, one: Fragment) -> None:
        said = _extensions(one)
        if "position" not in said:
            return  # of a correction, not of a file
        targets = [target.get("reference", "") for target in one["target"]]
        patient = next((target for target in targets if target.startswith("Patient/")), "").partition("/")[2]
        file = _File(
            (_digits(one["recorded"]), said["position"][0], one["id"]),
            said.get("format-version", ["1.0"])[0],
            [target.partition("/")[2] for target in targets if target.startswith("Observation/")],
            _loaded(said, "groups"),
            _loaded(said, "unmapped"),
            _loaded(said, "unmapped-header"),
            said.get("empty", []),
        )
        self._files.setdefault(patient, []).append(file)

    # -- out ----------------------------------------------------------------------------------------------------------

    def _whose(self, found: _Found) -> tuple[str, str]:
        if found.person:
            return found.consortium, found.person
        return self._people.get(found.patient, ("", ""))

    def _envelope(
        self,
        consortium: str,
        people: dict[str, list[tuple[str, _Found]]],
        patients: dict[tuple[str, str], str],
        names: dict[str, str],
    ) -> Fragment:
        told = {person: sorted(self._files.get(patients.get((consortium, person), ""), []), key=lambda one: one.rank)
                for person in people}  # fmt: skip
        every = sorted((file for files in told.values() for file in files), key=lambda one: one.rank)
        persons, updates = [], [""]
        for person in sorted(people, key=lambda who: ([file.rank for file in told[who][:1]], who)):
            made: Fragment = {"person_id": person}
            updates += self._groups(made, people[person], told[person], names)
            persons.append(made)
        send_time = max((file.rank[0] for file in every), default=max(updates))
        header: Fragment = {
            "format_version": every[-1].version if every else "1.0",
            "send_time": send_time,
            "consortium_id": consortium,
            "person_information": persons,
        }
        for file in every:
            for pointer, content in file.header.items():
                (name,) = steps_of(pointer)
                put(header, name, content)
        return header

    def _groups(
        self, person: Fragment, records: list[tuple[str, _Found]], told: list[_File], names: dict[str, str]
    ) -> Iterator[str]:
        """Fills the person's groups; gives the update times."""
        place: dict[str, tuple[int, int]] = {}
        for n, file in enumerate(told):
            for position, target in enumerate(file.targets):
                place.setdefault(target, (n, position))
        last = (len(told), 0)

        def order(one: tuple[str, _Found]) -> tuple[tuple[int, int], str, str]:
            key, found = one
            known = min((place.get(id_, last) for id_ in found.first), default=last)
            return known, str(found.values.get("observation_time", "")), key

        groups = Groups(file.groups for file in told)
        for one in sorted(records, key=order):
            found, (n, position) = one[1], order(one)[0]
            record = self._record(found)
            if record is not None:
                self.written += 1
                yield record["update_time"]
                piece = piece_of(told[n].groups, found.type.group, position) if n < len(told) else 0
                groups.add(found.type.name, piece, {names.get(name, name): value for name, value in record.items()})
        for file in told:
            for empty in file.empty:
                groups.empty(empty)
            groups.put_back(person, file.unknown)
        person |= groups.written()

    def _record(self, found: _Found) -> Fragment | None:
        """The record, when nobody who knows the tables would refuse it."""
        values = found.values
        if found.type.of_device:
            values |= self._devices.get(found.device, {})
        elif found.lab in self._labs:
            values["test_lab_id"] = self._labs[found.lab]
        issues: list[Issue] = []
        only_ranges = Registers(ranges=self.registers.ranges)
        record = check(RawRecord(found.type, "", values), only_ranges, "99991231235959999", issues)
        if record is None:
            self.skipped[next(sheet_code(one) for one in issues if one.severity == "error")] += 1
            return None
        return {**{name: values[name] for name in found.type.items if name in values}, **found.unknown}


# -- reading one Observation ------------------------------------------------------------------------------------------


def _consortium(resource: Fragment) -> str:
    source = str(resource.get("meta", {}).get("source", ""))
    return source.removeprefix(_SOURCE) if source.startswith(_SOURCE) else ""


def _identified(one: Fragment) -> tuple[str, RecordType, str] | None:
    """(key, record type, item) by the identifier we gave it: K#item."""
    for identifier in one.get("identifier", ()):
        key, mark, item = str(identifier.get("value", "")).rpartition("#")
        if identifier.get("system") == IDENTIFIER and mark and len(parts := key.split("|")) >= 5:
            type_ = _types().get((parts[2], len(parts)))
            if type_ is not None and item in views()[type_.name]:
                return key, type_, item
    return None


@cache
def _types() -> dict[tuple[str, int], RecordType]:
    """(array, parts of the key) -> record type: blood pressure at home has a device, at a clinic a laboratory."""
    return {(one.array, 4 + len(one.source)): one for one in record_types().values()}


def _recognised(one: Fragment) -> tuple[str, RecordType, str] | None:
    """By the codes, for an Observation of somebody else. Its key is its subject, time and source: a record of its own,
    joined with others only when all of these are the same."""
    clinic = any("Organization/" in who.get("reference", "") for who in one.get("performer", ()))
    for coding in one.get("code", {}).get("coding", ()):
        for type_name, item in _by_code().get((coding.get("system", ""), coding.get("code", "")), ()):
            type_ = record_types()[type_name]
            if views()[type_name][item].part != "component" and type_.of_device is not clinic:
                source = one.get("device") or one.get("performer")
                when = one.get("effectiveDateTime", "")
                return f"{one.get('subject')} {type_name} {when} {source}", type_, item
    return None


@cache
def _by_code() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(system, code) -> the (record type, item) it may be."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for type_name, items in views().items():
        for item, view in items.items():
            for _, coding in view.codings:
                found.setdefault((coding["system"], coding["code"]), []).append((type_name, item))
    for code in ("3D046000001906202", "3D046000001920402", "3D046000001927102", "3D046000001999902"):
        found[systems()["JLAC10"], code] = [("hba1c", "hba1c_value")]
    return found


def _from_key(found: _Found, key: str) -> None:
    """What the key itself says; Device and Organization say it too, where they are there."""
    consortium, person, _, when, *source = key_parts(key)
    found.consortium, found.person = consortium, person
    found.values.setdefault("observation_time", when)
    for name, value in zip(found.type.source, source, strict=True):
        if value:
            found.values.setdefault(name, value)


def _items(found: _Found, one: Fragment, item: str) -> None:
    said, values, allowed = _extensions(one), found.values, found.type.items
    if when := said.get("observation-time"):
        values["observation_time"] = when[0]
    elif digits := _digits(one.get("effectiveDateTime", "")):
        values.setdefault("observation_time", digits[:14])
    if digits := _digits(one.get("issued", "")):
        values["update_time"] = digits
    for name, url in CODES.items():
        if url in said and name in allowed:
            values[name] = said[url][0]
    if window := said.get("total-active-duration"):
        values["total_active_duration"] = window[0].get("value")
    site = one.get("bodySite", {})
    for coding in site.get("coding", ()):
        if coding.get("system") == POSITION:
            values["measurement_position_code"] = coding.get("code")
    if "text" in site and "measurement_position" in allowed:
        values["measurement_position"] = site["text"]
    _measured(values, one, item, found.type)
    found.unknown |= _loaded(said, "unmapped")


def _measured(values: Fragment, one: Fragment, item: str, type_: RecordType) -> None:
    """The value in the unit of the convention; in another unit it is not taken."""
    shown = views()[type_.name]
    pieces = [(item, one.get("valueQuantity"))]
    for component in one.get("component", ()):
        for coding in component.get("code", {}).get("coding", ()):
            for type_name, name in _by_code().get((coding.get("system", ""), coding.get("code", "")), ()):
                if type_name == type_.name:
                    pieces.append((name, component.get("valueQuantity")))
    for name, quantity in pieces:
        if isinstance(quantity, dict) and "comparator" not in quantity and quantity.get("code") == shown[name].ucum:
            values[name] = quantity.get("value")


def _extensions(one: Fragment) -> dict[str, list[Any]]:
    """Our extensions by the end of their url."""
    found: dict[str, list[Any]] = {}
    for given in one.get("extension", ()):
        url = str(given.get("url", ""))
        if url.startswith(extension("")):
            value = next((content for name, content in given.items() if name.startswith("value")), None)
            found.setdefault(url.removeprefix(extension("")), []).append(value)
    return found


def _loaded(said: dict[str, list[Any]], name: str) -> Fragment:
    try:
        loaded = exact.loads(said[name][0]) if name in said else {}
    except (ValueError, TypeError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _id_of(reference: Any) -> str:
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


def _digits(fhir: str) -> str:
    """A FHIR time -> 17 digits on the clock of Japan; parts that are not given are 00. "" for none."""
    if fhir.endswith(times.JAPAN):
        digits = "".join(c for c in fhir[: -len(times.JAPAN)] if c.isdigit())
        return digits[:17].ljust(17, "0")
    if len(fhir) == 10:
        return fhir.replace("-", "") + "000000000"
    try:
        there = datetime.fromisoformat(fhir)
    except ValueError:
        return ""
    return f"{there.astimezone(_JAPAN):%Y%m%d%H%M%S%f}"[:17] if there.tzinfo else ""
