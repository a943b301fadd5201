"""gateway/translate/dialect.py: the same facts in the URIs of JP Core 1.2.0, 1.1.2 and CLINS."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway import mapping_files
from gateway.profiles.tables import Tables
from gateway.profiles.validator import TABLES, Validator
from gateway.translate.dialect import CORE, DIALECTS, canonical, pairs, rewritten, system_of
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, OID, only, read

JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
HOT9 = "http://medis.or.jp/CodeSystem/master-HOT9"
YJ = "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code"
RP = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber"
USAGE = "http://jami.jp/CodeSystem/MedicationUsage"
ROUTE = "http://jpfhir.jp/fhir/core/CodeSystem/route-codes"
JANIS = "urn:oid:1.2.392.100495.10.3.100.5.27.6.1"


def package(shared: Path, version: str) -> Any:
    return json.loads(gzip.decompress((shared / "fhir" / "jp-core" / f"jp-core-{version}.json.gz").read_bytes()))


def of(system: str, dialect: str) -> str:
    made = rewritten({"resourceType": "Basic", "code": {"coding": [{"system": system, "code": "1"}]}}, dialect)
    return str(made["code"]["coding"][0]["system"])


@pytest.mark.parametrize(
    ("system", "old"),
    [
        (JLAC10, "urn:oid:1.2.392.200119.4.504"),
        (HOT9, "urn:oid:1.2.392.200119.4.403.1"),
        (YJ, "urn:oid:1.2.392.100495.20.1.73"),
        (RP, "urn:oid:1.2.392.100495.20.3.81"),
        ("http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex", "urn:oid:1.2.392.100495.20.3.82"),
        ("http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code", "urn:oid:1.2.392.100495.20.2.101"),
        (USAGE, "urn:oid:1.2.392.200250.2.2.20"),
        ("http://jami.jp/CodeSystem/MedicationMethodDetailUsage", "urn:oid:1.2.392.200250.2.2.20.40"),
        ("http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full", "http://hl7.org/fhir/sid/icd-10"),
        (ROUTE, "http://terminology.hl7.org/CodeSystem/v2-0162"),
        (JANIS, JANIS),
        ("http://loinc.org", "http://loinc.org"),
        ("http://unitsofmeasure.org", "http://unitsofmeasure.org"),
        (f"https://musubi.invalid/{OID}/CodeSystem/99A", f"https://musubi.invalid/{OID}/CodeSystem/99A"),
        ("urn:oid:1.2.392.100495.20.3.51.11310000001", "urn:oid:1.2.392.100495.20.3.51.11310000001"),
    ],
)
def test_a_system_in_each_dialect(system: str, old: str) -> None:
    assert [of(system, dialect) for dialect in DIALECTS] == [system, old, system]
    assert canonical(old) == system


def test_every_name_of_a_system_leads_back_to_the_form_of_1_2_0() -> None:
    preferred = {row["http"]: row[row["preferred"]] for row in mapping_files.records("system-aliases")}
    for other, http in pairs():
        assert canonical(other) == canonical(http) == preferred.get(http, http), other


def test_a_system_has_one_form_in_1_1_2() -> None:
    rows = [row for row in mapping_files.records("system-aliases") if row["v1_1_2"] == "yes"]
    assert len({row["http"] for row in rows}) == len(rows)
    assert {row["http"] for row in rows} == {row["http"] for row in mapping_files.records("system-aliases")}


def test_1_1_2_is_what_its_naming_systems_prefer(shared: Path) -> None:
    """But for table 0162, which its examples code in the HL7 table."""
    bundle = package(shared, "1.1.2")
    found = 0
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "NamingSystem":
            preferred = next(one["value"] for one in resource["uniqueId"] if one.get("preferred"))
            if preferred != ROUTE:
                assert of(canonical(preferred), "1.1.2") == preferred
                found += 1
    assert found > 20


def test_identifiers_quantities_and_bundles_are_rewritten_and_contact_points_are_not() -> None:
    resource: dict[str, Any] = {
        "resourceType": "Bundle",
        "entry": [
            {
                "resource": {
                    "resourceType": "MedicationRequest",
                    "identifier": [{"system": RP, "value": "1"}],
                    "dispenseRequest": {"quantity": {"value": 1, "system": USAGE, "code": "x"}},
                    "subject": {"identifier": {"system": RP, "value": "1"}},
                    "contained": [{"resourceType": "Patient", "telecom": [{"system": "phone", "value": "1"}]}],
                }
            }
        ],
    }
    before = copy.deepcopy(resource)
    made = rewritten(resource, "1.1.2")["entry"][0]["resource"]
    assert resource == before
    assert made["identifier"] == [{"system": "urn:oid:1.2.392.100495.20.3.81", "value": "1"}]
    assert made["dispenseRequest"]["quantity"]["system"] == "urn:oid:1.2.392.200250.2.2.20"
    assert made["subject"]["identifier"]["system"] == "urn:oid:1.2.392.100495.20.3.81"
    assert made["contained"] == before["entry"][0]["resource"]["contained"]
    assert list(made) == list(before["entry"][0]["resource"])


@pytest.mark.parametrize(
    ("profile", "old"),
    [
        ("JP_Specimen_Common", "JP_Specimen"),
        ("JP_ServiceRequest_Common", "JP_ServiceRequest"),
        ("JP_Condition_Diagnosis", "JP_Condition"),
        ("JP_Observation_LabResult", "JP_Observation_LabResult"),
        ("JP_MedicationStatement", None),
    ],
)
def test_profiles_have_the_names_of_the_version(profile: str, old: str | None) -> None:
    resource = {"resourceType": "Basic", "id": "1", "meta": {"profile": [CORE + profile]}}
    assert rewritten(resource, "1.2.0") is resource
    for dialect in ("1.1.2", "clins"):
        made = rewritten(resource, dialect)
        assert made.get("meta", {}).get("profile") == ([CORE + old] if old else None)
        assert "meta" not in made or made["meta"]


def test_profile_names_are_those_of_the_packages(shared: Path) -> None:
    urls: dict[str, set[str]] = {}
    for version in ("1.1.2", "1.2.0"):
        bundle = package(shared, version)
        found = (entry["resource"] for entry in bundle["entry"])
        urls[version] = {one["url"] for one in found if one["resourceType"] == "StructureDefinition"}
    rows = {row["profile"]: row["v1_1_2"] for row in mapping_files.records("profile-aliases")}
    gone = {url for url in urls["1.2.0"] - urls["1.1.2"] if "/Extension/" not in url}
    assert {CORE + name for name in rows} == gone
    assert {CORE + name for name in rows.values() if name} <= urls["1.1.2"]


def test_what_does_not_change_is_the_same_object() -> None:
    resource = {"resourceType": "Basic", "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]}}
    assert all(rewritten(resource, dialect) is resource for dialect in DIALECTS)


# -- names in HL7 messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("1.2.392.200119.4.504", JLAC10),
        ("urn:oid:1.2.392.200119.4.504", JLAC10),
        ("1.2.392.200119.4.504&ISO", JLAC10),
        ("1.2.392.200119.4.504ISO", JLAC10),
        ("JC10&1.2.392.200119.4.504&ISO", JLAC10),
        ("http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationLabResultCode_CS", JLAC10),
        (JLAC10, JLAC10),
        ("1.2.392.100495.20.2.74", HOT9),
        ("1.2.392.999.1", "urn:oid:1.2.392.999.1"),
        ("http://hospital.example/codes", "http://hospital.example/codes"),
        ("JC10", ""),
        ("99A", ""),
        ("1.5", ""),
        ("1.2.3", ""),
        ("urn:oid:abc", ""),
        ("1.02.392.1.1", ""),
        ("http://hospital.example/a b", ""),
        ("", ""),
    ],
)
def test_a_name_that_is_an_oid_or_a_uri_resolves(name: str, system: str) -> None:
    assert system_of(name) == system


@pytest.mark.parametrize("name", ["JC10", "urn:oid:1.2.392.200119.4.504", "1.2.392.200119.4.504", JLAC10])
def test_a_test_coded_by_oid_or_uri_is_the_same_observation_code(name: str) -> None:
    obx = f"OBX|1|NM|3B035000002327201^AST^{name}||20|U/L|||||F"
    converted = read("OML-11", "SPM|1|S1||023^血清^JC10", "OBR|1|77||E1^x^99X|||20240601", obx)
    (coding,) = only(converted, "Observation")["code"]["coding"]
    assert (coding["system"], coding["code"]) == (JLAC10, "3B035000002327201")


def test_a_code_under_an_unknown_oid_keeps_it_as_its_system() -> None:
    converted = read("ADT-00", "AL1|1|DA|X1^花粉^1.2.392.999.1|MI|かゆみ")
    (coding,) = only(converted, "AllergyIntolerance")["code"]["coding"]
    assert coding == {"system": "urn:oid:1.2.392.999.1", "code": "X1", "display": "花粉"}


# -- against the packages of 1.1.2 ------------------------------------------------------------------------------------

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"
FILES = [file for kind in ("ADT-00", "OML-11", "OMP-01", "PPR-01") for file in sorted(DEMO.rglob(f"*_{kind}_*_1"))[:4]]


@pytest.fixture(scope="module")
def of_1_1_2(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """FHIR R4 and JP Core 1.1.2, without 1.2.0."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("jp-core-1.1.2", "jp-terminology-core"):
        content = gzip.decompress((shared / "fhir" / "jp-core" / f"{name}.json.gz").read_bytes())
        (folder / f"{name}.json").write_bytes(content)
    base = [mapping_files.path("profiles", name) for name in TABLES if name.startswith("r4")]
    return Validator(Tables.load(base)).with_packages(folder)


def test_what_the_dialect_1_1_2_says_is_valid_there_and_what_1_2_0_says_is_not(of_1_1_2: Validator) -> None:
    def errors(dialect: str) -> list[str]:
        return [
            f"{finding.expression}: {finding.text}"
            for file in FILES
            for converted in read_file(file.read_bytes(), str(file), FACILITIES)
            for finding in of_1_1_2.check(rewritten(converted.to_bundle("collection"), dialect))
            if finding.severity == "error"
        ]

    assert len(FILES) > 12
    assert errors("1.1.2") == []
    assert errors("1.2.0") != []
