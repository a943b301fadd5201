"""gateway/translate/patient_ids.py: which number of PID-3 is the facility's own, and whose the others are."""

import pytest

from gateway.model.identity import Authority, PatientId
from gateway.model.ingest import make_key
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file
from tests.translate.messages import HOSPITAL, MEDICAL_ID, OID, er7, msh, only, read, residue

OTHER = "1.2.392.200119.99999.22"
REGION = "1.2.392.200119.99999.1.1"
KNOWN = Facilities(
    [
        HOSPITAL,
        Authority(OTHER, "OSAKA-HP"),
        Authority(MEDICAL_ID, "MEDICAL-ID", kind="medical-id"),
        Authority(REGION, kind="community"),
    ]
)
OWN = "0000012345"


def sent(pid3: str, sender: str = "TOKYO-HP", facility: str = "", kind: str = "ADT^A08^ADT_A01") -> Converted:
    """One message without a storage name."""
    data = er7(kind, head=msh(kind, sender), pid=f"PID|1||{pid3}||見本^結子^^^^^L^I||19700405|F")
    (made,) = read_file(data, "", KNOWN, facility=facility, explain=True)
    return made


@pytest.mark.parametrize(
    ("pid3", "own"),
    [
        ("M1^^^MEDICAL-ID~0001^^^TOKYO-HP", PatientId("0001", OID)),
        ("M1^^^MEDICAL-ID~0001", PatientId("0001", OID)),
        ("0001~M1^^^MEDICAL-ID", PatientId("0001", OID)),
        ("77^^^OSAKA-HP~0001^^^TOKYO-HP", PatientId("0001", OID)),
        ("77^^^OSAKA-HP~0001^^^^PI", PatientId("0001", OID)),
        (f"77^^^OSAKA-HP~0001^^^&{OID}&ISO", PatientId("0001", OID)),
        ("0001~0002^^^TOKYO-HP", PatientId("0002", OID)),
        ("^^^TOKYO-HP~0002", PatientId("0002", OID)),
        ("0001^^^TKY", PatientId("0001", OID)),
        ("77^^^OSAKA-HP", PatientId("77", OTHER)),
        ("M1^^^MEDICAL-ID~77^^^OSAKA-HP", PatientId("77", OTHER)),
        (f"X1^^^&{REGION}&ISO~77^^^OSAKA-HP", PatientId("77", OTHER)),
        (f"X1^^^&{REGION}&ISO", PatientId("X1", REGION)),
        ("0001^^^A NAME NOBODY KNOWS", PatientId("0001", OID)),
    ],
)
def test_the_own_number_and_its_domain(pid3: str, own: PatientId) -> None:
    made = sent(pid3)
    assert made.patient_id == own and made.translated.person.ids[0] == own
    assert made.facility == own.authority


@pytest.mark.parametrize("pid3", ["M1^^^MEDICAL-ID", f"M1^^^&{MEDICAL_ID}&ISO", "^^^TOKYO-HP", "", "~~"])
def test_a_shared_id_is_never_a_patients_number(pid3: str) -> None:
    made = sent(pid3)
    assert made.error is not None and made.error.code == "no-patient"


def test_all_other_ids_belong_to_the_person() -> None:
    ids = sent("M1^^^MEDICAL-ID~77^^^OSAKA-HP~0001^^^TOKYO-HP~X1^^^NOBODY").translated.person.ids
    assert ids == (PatientId("0001", OID), PatientId("M1", MEDICAL_ID), PatientId("77", OTHER))


def test_the_identifier_of_the_facility_is_the_medical_record_number() -> None:
    patient = only(sent("M1^^^MEDICAL-ID~0001^^^TOKYO-HP"), "Patient")
    marked = [one["value"] for one in patient["identifier"] if "type" in one]
    assert marked == ["0001"] and [one["value"] for one in patient["identifier"]] == ["M1", "0001"]


def test_nothing_of_the_field_is_lost() -> None:
    made = sent("M1^^^MEDICAL-ID~0001^9^M10^TOKYO-HP^PI~^^^TOKYO-HP^XX")
    print(residue(made))
    assert {"9", "M10"} <= set(residue(made).values())


def test_the_facility_of_the_caller_wins() -> None:
    made = sent("77^^^OSAKA-HP~0001^^^TOKYO-HP", facility=OTHER)
    assert made.patient_id == PatientId("77", OTHER)


def test_the_number_decides_over_a_sender_nobody_knows() -> None:
    made = sent("0001^^^TOKYO-HP", sender="NOBODY")
    assert made.facility == OID
    assert [issue.code for issue in made.translated.issues if issue.code.startswith("facility")] == ["facility-unknown"]


def test_a_storage_file_belongs_to_its_storage() -> None:
    made = read("ADT-12", pid=f"PID|1||77^^^OSAKA-HP~{OWN}^^^TOKYO-HP||見本^結子", facilities=KNOWN)
    assert made.patient_id == PatientId(OWN, OID) and made.rejected is None


# -- feeds of identity -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A05", "A08", "A28", "A31", "A40", "A47"])
def test_a_message_of_the_person_alone_has_a_key_of_its_own(trigger: str) -> None:
    made = sent("0001^^^TOKYO-HP", kind=f"ADT^{trigger}^ADT_A05")
    assert made.key == ("0001", "-", "ADT-00", "PID") and make_key(made.facility, *made.key)
    assert made.feeds and not residue(made)


def test_basics_with_more_than_the_person_keep_the_key_of_their_file() -> None:
    data = er7("ADT-00", "AL1|1|DA|D1^ペニシリン^99X", head=msh("ADT-00"))
    (made,) = read_file(data, "", KNOWN)
    assert made.key[3] == "999999999999999"


@pytest.mark.parametrize(
    ("trigger", "last"), [("A28", "0"), ("A04", "0"), ("A31", "1"), ("A08", "1"), ("A40", "2"), ("A02", "0")]
)
def test_of_one_second_a_revision_is_later_than_a_registration(trigger: str, last: str) -> None:
    assert sent("0001", kind=f"ADT^{trigger}^ADT_A05").version_time == f"2024060112000000{last}"


def test_the_retired_number_of_a_merge_is_left_out_on_purpose() -> None:
    kind = "ADT^A40^ADT_A39"
    data = er7(kind, "MRG|0002^^^TOKYO-HP", head=msh(kind), pid="PID|1||0001^^^TOKYO-HP||見本^結子")
    (made,) = read_file(data, "", KNOWN, explain=True)
    assert not made.translated.residue
    assert [one.where for one in made.translated.unmapped if one.where.startswith("MRG")] == ["MRG[1]-1"]
