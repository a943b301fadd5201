"""Records -> JP Core Observations (section 7): one a measured item, blood pressure as one with two components, activity
as a panel with its members. What FHIR has no place for stands in extensions, so that everything comes back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gateway import mapping_files
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.items import code_lists
from gateway.translate.exchange_spec.records import Record
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.ids import resource_id
from gateway.translate.people import CORE
from gateway.translate.specimen import MATERIAL
from gateway.translate.times import JAPAN

Fragment = dict[str, Any]

IDENTIFIER: Final = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier"
UCUM: Final = "http://unitsofmeasure.org"
POSITION: Final = "https://musubi.invalid/CodeSystem/exchange-measurement-position"
_EXTENSION: Final = "https://musubi.invalid/StructureDefinition/exchange-"
_INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_WHOLE_BLOOD: Final = "019"
"""Material part (characters 10 to 12) of the four JLAC10 codes of HbA1c."""

CODES: Final = {
    "data_input_code": "data-input-code",
    "origin_of_time_code": "origin-of-time-code",
    "measurement_method_code": "measurement-method-code",
    "value_criteria_code": "value-criteria-code",
}
"""Item -> the extension it comes back from (valueString for codes of lists we do not know, else valueCode)."""


def extension(name: str) -> str:
    return _EXTENSION + name


@dataclass(frozen=True, slots=True)
class View:
    """How one item is shown (mappings/exchange-spec/observations.csv)."""

    item: str
    part: str
    profile: str
    categories: list[Fragment]
    text: str
    unit: str
    ucum: str
    codings: tuple[tuple[str, Fragment], ...]
    """(condition on total_active_duration, coding)"""

    always: Fragment | None
    """The code, where it does not depend on the window. Shared: nobody changes it."""

    def code(self, window: object) -> Fragment:
        return self.always or _code(self.codings, self.text, window)


def _code(codings: Iterable[tuple[str, Fragment]], text: str, window: object) -> Fragment:
    return {"coding": [coding for condition, coding in codings if _holds(condition, window)], "text": text}


def _holds(condition: str, window: object) -> bool:
    if not condition:
        return True
    equal = str(window) == condition.lstrip("!")
    return equal is not condition.startswith("!")


def _rows(name: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("exchange-spec", f"{name}.csv")))


@cache
def systems() -> dict[str, str]:
    """Short name -> URI of JP Core 1.2; translate/dialect.py writes those of 1.1."""
    return {row["name"]: row["system"] for row in _rows("systems")}


@cache
def views() -> dict[str, dict[str, View]]:
    """Record type -> item -> how it is shown."""
    uri = systems()
    codings: dict[tuple[str, str], list[tuple[str, Fragment]]] = {}
    for row in _rows("codings"):
        coding = {"system": uri[row["system"]], "code": row["code"]}
        codings.setdefault((row["record"], row["item"]), []).append((row["duration"], coding))
    found: dict[str, dict[str, View]] = {}
    for row in _rows("observations"):
        categories = [
            {"coding": [{"system": uri[system], "code": code}]}
            for system, _, code in (word.partition("#") for word in row["categories"].split())
        ]
        own = tuple(codings[row["record"], row["item"]])
        fixed = None if any(condition for condition, _ in own) else _code(own, row["text"], None)
        found.setdefault(row["record"], {})[row["item"]] = View(
            row["item"],
            row["part"],
            row["profile"],
            categories,
            row["text"],
            row["unit"],
            row["ucum"],
            own,
            fixed,
        )
    return found


@dataclass(frozen=True, slots=True)
class Subject:
    """The person of the records, and under whom ids are made."""

    facility: str
    """OID of the consortium's authority."""
    consortium: str
    person: str
    patient: str
    """Logical id of the Patient."""
    registers: Registers

    def id(self, type_: str, *key: str) -> str:
        return resource_id(self.facility, type_, *key)

    def device(self, record: Record) -> str:
        """A device belongs to a person's records: the same scale used by two persons is two resources."""
        return self.id("Device", self.person, *record.source)

    def lab(self, lab: str) -> str:
        return self.id("Organization", "test_lab_id", lab)


def business_key(subject: Subject, record: Record) -> str:
    """K of section 5: consortium|person|record type|observation time|device or laboratory."""
    parts = (subject.consortium, subject.person, record.type.array, record.observation_time, *record.source)
    return "|".join(map(_part, parts))


def _part(value: str) -> str:
    """A `|` inside a part is written %7C, so that no part can imitate two."""
    return value.replace("%", "%25").replace("|", "%7C") if "|" in value or "%" in value else value


def key_parts(key: str) -> list[str]:
    return [part.replace("%7C", "|").replace("%25", "%") for part in key.split("|")]


def effective(digits: str) -> str:
    """Date only when the clock is 000000: the convention fills what was not measured with 00 (section 7)."""
    day = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    return day if digits[8:] == "000000" else f"{day}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}{JAPAN}"


def instant(digits: str) -> str:
    """17 digits of Japanese wall clock -> FHIR instant with its milliseconds."""
    return (
        f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:14]}.{digits[14:]}{JAPAN}"
    )


# -- one record -------------------------------------------------------------------------------------------------------


def observations(record: Record, subject: Subject, key: str) -> list[Fragment]:
    """All Observations of one record, its main one first; `key` is its business key. Status is `final`; a correction is known to storage only."""
    shown = views()[record.type.name]
    head = _common(record, subject)
    window = record.values.get("total_active_duration")
    made = []
    for item, view in shown.items():
        if view.part == "panel" or (view.part == "value" and item in record.values):
            made.append(_observation(view, key, head, record, subject, window))
    main = made[0]
    _finish_main(main, record, shown)
    if record.type.name == "activity_monitor":
        main["hasMember"] = [_reference(one) for one in made[1:]]
    elif record.type.main == "blood_pressure":
        for pulse in made[1:]:
            pulse["derivedFrom"] = [_reference(main)]
    return made


def _reference(one: Fragment) -> Fragment:
    return {"reference": f"Observation/{one['id']}"}


def _common(record: Record, subject: Subject) -> Fragment:
    """What every Observation of a record says alike."""
    values = record.values
    head: Fragment = {
        "extension": list(_extensions(record)),
        "subject": {"reference": f"Patient/{subject.patient}"},
        "effectiveDateTime": effective(record.observation_time),
        "issued": instant(record.update_time),
    }
    performers = list(_performers(record, subject))
    if performers:
        head["performer"] = [{"reference": one} for one in performers]
    if code := values.get("measurement_position_code"):
        display = code_lists()["measurement_position_code"][str(code)]
        head["bodySite"] = {"coding": [{"system": POSITION, "code": code, "display": display}]}
    elif words := values.get("measurement_position"):
        head["bodySite"] = {"text": words}
    if record.type.of_device:
        head["device"] = {"reference": f"Device/{subject.device(record)}"}
    return head


def _performers(record: Record, subject: Subject) -> Iterator[str]:
    """Blood pressure at home is the person's, what a laboratory or clinic measured is theirs; a value typed by hand is the
    person's as well (section 7)."""
    if lab := record.values.get("test_lab_id"):
        yield f"Organization/{subject.lab(str(lab))}"
    if record.type.name == "blood_pressure" or record.values.get("data_input_code") == "1":
        yield f"Patient/{subject.patient}"


def _extensions(record: Record) -> Iterator[Fragment]:
    values = record.values
    yield {"url": extension("observation-time"), "valueString": record.observation_time}
    for item, name in CODES.items():
        if item in values:
            kind = "valueCode" if record.type.items[item].kind == "code" else "valueString"
            yield {"url": extension(name), kind: values[item]}
    if (window := values.get("total_active_duration")) is not None:
        quantity = {"value": window, "unit": "分", "system": UCUM, "code": "min"}
        yield {"url": extension("total-active-duration"), "valueQuantity": quantity}


def _observation(view: View, key: str, head: Fragment, record: Record, subject: Subject, window: object) -> Fragment:
    made: Fragment = {
        "resourceType": "Observation",
        "id": subject.id("Observation", key, view.item),
        "meta": {"source": f"urn:hx:{subject.consortium}", "profile": [CORE + view.profile]},
        "extension": head["extension"],
        "identifier": [{"system": IDENTIFIER, "value": f"{key}#{view.item}"}],
        "status": "final",
        "category": view.categories,
        "code": view.code(window),
        **head,
    }
    if view.part == "value":
        made["valueQuantity"] = _quantity(record.values[view.item], view)
    if view.item == "hba1c_value":
        _laboratory(made, record, subject)
    return made


def _quantity(value: object, view: View) -> Fragment:
    return {"value": value, "unit": view.unit, "system": UCUM, "code": view.ucum}


def _laboratory(made: Fragment, record: Record, subject: Subject) -> None:
    """JLAC10 by the method's class (7.4), the specimen that JP_Observation_LabResult demands, and the interpretation."""
    code = subject.registers.hba1c_code(str(record.values.get("measurement_method_code", "")))
    coding = {"system": systems()["JLAC10"], "code": code}
    made["code"] = {"coding": [*made["code"]["coding"], coding], "text": made["code"]["text"]}
    specimen = {"coding": [{"system": MATERIAL, "code": _WHOLE_BLOOD}], "text": "全血(添加物入り)"}
    made["contained"] = [
        {"resourceType": "Specimen", "id": "specimen", "type": specimen, "subject": dict(made["subject"])}
    ]
    made["specimen"] = {"reference": "#specimen"}
    if record.values.get("value_criteria_code") == "0":
        made["interpretation"] = [{"coding": [{"system": _INTERPRETATION, "code": "N"}]}]


def _finish_main(main: Fragment, record: Record, shown: dict[str, View]) -> None:
    components = [
        {"code": view.code(None), "valueQuantity": _quantity(record.values[item], view)}
        for item, view in shown.items()
        if view.part == "component" and item in record.values
    ]
    if components:
        main["component"] = components
    if record.unknown:
        unknown = {"url": extension("unmapped"), "valueString": exact.text(record.unknown)}
        main["extension"] = [*main["extension"], unknown]
