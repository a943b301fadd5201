"""gateway/translate/context.py: which facility a message belongs to, and what a translation collects."""

import pytest

from gateway.model.identity import Authority
from gateway.translate.context import Context, Facilities
from gateway.translate.ids import derived_oid
from tests.translate.messages import FACILITIES, HOSPITAL, INSTITUTION, INSURER, OID, msh, only, places, read

OSAKA = Authority("1.2.392.200119.99999.22", "OSAKA-HP", institution="2710000001")
BOTH = Facilities([HOSPITAL, OSAKA])


@pytest.mark.parametrize(
    ("override", "msh4", "root", "expected"),
    [
        ("", "TOKYO-HP", "", OID),
        ("", "TKY", "", OID),
        ("", f"LOCAL^{OID}^ISO", "", OID),
        ("", "", INSTITUTION, OID),
        ("", "", f"{INSTITUTION}_2024", OID),
        ("", "", "TOKYO-HP", OID),
        ("", "UNKNOWN", INSTITUTION, OID),
        (OSAKA.oid, "", "", OSAKA.oid),
        ("OSAKA-HP", "", "", OSAKA.oid),
        ("1.2.3.4", "", "", "1.2.3.4"),
    ],
)
def test_a_known_facility_is_used_without_a_word(override: str, msh4: str, root: str, expected: str) -> None:
    facility, issues = BOTH.resolve(override, msh4, root)
    assert facility.oid == expected
    assert issues == ()


@pytest.mark.parametrize(
    ("override", "msh4", "root", "expected", "where"),
    [
        (OSAKA.oid, "TOKYO-HP", "", OSAKA.oid, "MSH[1]-4"),
        ("1.2.3.4", "TOKYO-HP", "", "1.2.3.4", "MSH[1]-4"),
        ("", "TOKYO-HP", "OSAKA-HP", OID, "root folder"),
    ],
)
def test_two_names_that_disagree_are_a_warning(override: str, msh4: str, root: str, expected: str, where: str) -> None:
    facility, issues = BOTH.resolve(override, msh4, root)
    assert facility.oid == expected
    assert [(issue.severity, issue.code, issue.where) for issue in issues] == [("warning", "facility-conflict", where)]


@pytest.mark.parametrize(
    ("msh4", "root", "name"), [("NEW-HP", "", "NEW-HP"), ("", "storage", "storage"), ("", "", "unknown")]
)
def test_an_unknown_facility_gets_a_stable_oid_and_a_warning(msh4: str, root: str, name: str) -> None:
    facility, issues = BOTH.resolve("", msh4, root)
    assert facility.oid == derived_oid("facility", name)
    assert [issue.code for issue in issues] == ["facility-unknown"]


@pytest.mark.parametrize(
    ("root", "institution"),
    [
        ("4210000001", "4210000001"),
        ("4210000001_std", "4210000001"),
        ("4210000001-2", "4210000001"),
        ("42100000019", ""),
        ("storage", ""),
    ],
)
def test_a_root_named_by_an_institution_number_gives_the_patient_system(root: str, institution: str) -> None:
    facility, _ = BOTH.resolve("", "NEW-HP", root)
    assert facility.institution == institution


def test_volumes_of_an_unknown_institution_are_one_facility() -> None:
    volumes = ("4210000001", "4210000001_STD01", "4210000001-2", "4210000001 (歯科)")
    assert len({BOTH.resolve("", "", root)[0].oid for root in volumes}) == 1
    assert BOTH.resolve("", "", f"{INSTITUTION}-ANX")[0].oid == OID


def test_the_chosen_facility_is_in_the_ids() -> None:
    here, there = read("ADT-12"), read("ADT-12", head=msh("ADT-12", sender="OTHER"))
    assert only(here, "Patient")["id"] != only(there, "Patient")["id"]
    assert places(there, "facility-unknown") == ["MSH[1]-4"]
    assert only(read("ADT-12", facility="OTHER-OID"), "Patient")["id"] != only(here, "Patient")["id"]


def test_the_insurer_authority_is_known() -> None:
    assert FACILITIES.insurer == INSURER
    assert BOTH.insurer == ""


def test_duplicates_of_a_key_are_counted_and_the_first_resource_of_an_id_stays() -> None:
    context = Context(HOSPITAL, FACILITIES, "OML-11")
    assert [context.nth("OBX", "a"), context.nth("OBX", "b"), context.nth("OBX", "a")] == ["", "", "#2"]
    first = context.add({"resourceType": "Patient", "id": "1", "name": "first"})
    assert context.add({"resourceType": "Patient", "id": "1", "name": "second"}) is first


def test_what_is_remembered_of_one_facility_is_not_told_of_another() -> None:
    """Equal segments are converted once a facility; systems and ids of a segment hold the facility."""
    obx = "OBX|1|CWE|1^検査^99X||A^型^99Y||||||F|||20240601"
    for _ in range(2):
        for facility in (HOSPITAL.oid, "1.2.3.4"):
            converted = read("OML-11", "SPM|1|S1", "OBR|1|1", obx, facility=facility, explain=False)
            observation, patient = only(converted, "Observation"), only(converted, "Patient")
            assert f"/{facility}/" in observation["code"]["coding"][0]["system"]
            assert f"/{facility}/" in observation["valueCodeableConcept"]["coding"][0]["system"]
            system = HOSPITAL.patient_system if facility == HOSPITAL.oid else f"urn:oid:{facility}"
            assert patient["identifier"][0]["system"] == system
