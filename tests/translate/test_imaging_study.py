"""gateway/translate/imaging_study.py: IPC -> ImagingStudy."""

from typing import Any

import pytest

from tests.translate.messages import OID, codes, every, only, places, read, residue
from tests.translate.test_omg_o19 import CHEST, SIDE, P, obr, orc


def studies(*pieces: str, number: str = P) -> Any:
    return read("OMG-11", orc("NW", number), obr(CHEST, number), *pieces, order=P)


def numbers(study: dict[str, Any]) -> list[str]:
    return [identifier["value"] for identifier in study["identifier"]]


def test_what_ipc_says() -> None:
    study = only(studies("IPC|A1|P1|1.2.3.4|S1|US^^DCM"), "ImagingStudy")
    base = f"https://musubi.invalid/{OID}"
    assert [(i["system"], i["value"]) for i in study["identifier"]] == [
        (f"{base}/accession-number", "A1"), (f"{base}/requested-procedure-id", "P1"),
        ("urn:dicom:uid", "urn:oid:1.2.3.4"), (f"{base}/scheduled-procedure-step-id", "S1"),
    ]  # fmt: skip
    assert study["identifier"][0]["type"]["coding"][0]["code"] == "ACSN"
    assert study["procedureReference"]["reference"].startswith("Procedure/")
    assert study["description"] == "胸部.立位正面"


def test_two_accession_numbers_of_one_study() -> None:
    converted = studies("IPC|A1||1.2.3.4||ES^^DCM", "IPC|A2||1.2.3.4||ES^^DCM")
    assert numbers(only(converted, "ImagingStudy")) == ["A1", "urn:oid:1.2.3.4", "A2"]
    assert codes(converted).count("no-status") == 1


def test_two_studies_of_one_order() -> None:
    converted = studies("IPC|A1||1.2.3.4||CT^^DCM", "IPC|A1||1.2.3.5||MR^^DCM")
    first, second = every(converted, "ImagingStudy")
    assert (numbers(first)[1], numbers(second)[1]) == ("urn:oid:1.2.3.4", "urn:oid:1.2.3.5")


def test_orders_of_one_message_share_a_study() -> None:
    converted = read(
        "OMG-11", orc("NW", "1"), obr(CHEST, "1"), "IPC|A1||1.2.3.4||CT^^DCM",
        orc("NW", "2"), obr(SIDE, "2"), "IPC|A1||1.2.3.4||CT^^DCM", "IPC|A1||||CT",
    )  # fmt: skip
    study = only(converted, "ImagingStudy")
    assert [r["identifier"]["value"] for r in study["basedOn"]] == ["1", "2"]
    assert study["modality"] == [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]
    assert "procedureReference" not in study


@pytest.mark.parametrize("uid", ["1.2.03", "ABC", "1.2." + "9" * 64, "3.1", "1..2"])
def test_what_is_no_uid_is_no_uid(uid: str) -> None:
    converted = studies(f"IPC|||{uid}")
    (identifier,) = only(converted, "ImagingStudy")["identifier"]
    assert identifier == {"system": f"https://musubi.invalid/{OID}/study-instance-uid", "value": uid}
    assert places(converted, "bad-uid") == ["IPC[1]-3"]


def test_a_modality_that_dicom_has_not_is_residue() -> None:
    converted = studies("IPC|A1||1.2.3||XX^超音波^99X")
    assert "modality" not in only(converted, "ImagingStudy")
    assert residue(converted)["IPC[1]-5"] == "XX^超音波^99X" and "code-unknown" in codes(converted)


def test_words_of_a_modality_and_places_of_the_examination_are_residue() -> None:
    converted = studies("IPC|A1&NS||1.2.3^PACS||US^超音波^DCM|PROT|ST1")
    assert residue(converted) == {
        "IPC[1]-3.2": "PACS", "IPC[1]-5.2": "超音波", "IPC[1]-6": "PROT", "IPC[1]-7": "ST1",
    }  # fmt: skip


def test_without_any_number_the_order_identifies_the_study() -> None:
    converted = studies("IPC|||||US^^DCM", "IPC|||||US^^DCM")
    assert "identifier" not in only(converted, "ImagingStudy")
