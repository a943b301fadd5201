"""What of a message of results has versions of its own; how storage treats it: tests/services/test_partial_results.py."""

from gateway.translate.converted import Converted
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES
from tests.v2_parts import lab

TWO = lab() + (
    b"OBR|2|000000000000101||E002^X^99LAB|||20260102083000\rORC|SC|000000000000101\rOBX|1|NM|Q1^T^99LAB||1||||||F\r"
)


def read(data: bytes, path: str = "") -> Converted:
    (made,) = read_file(data, path, FACILITIES)
    return made


def test_each_report_is_a_part_with_what_it_leads_to() -> None:
    made = read(TWO)
    kinds = [sorted(one["resourceType"] for one in part.resources) for part in made.parts]
    assert kinds == [["DiagnosticReport", "Observation", "Provenance", "Specimen"]] * 2
    assert len({part.key for part in made.parts}) == 2
    assert all(part.version_time == made.version_time and not part.revised for part in made.parts)


def test_a_group_has_the_same_key_in_another_message() -> None:
    alone = read(lab("M2", value="9", time="20260103110000"))
    assert alone.parts[0].key == read(TWO).parts[0].key
    assert alone.key != read(TWO).key == read(TWO.replace(b"7.2", b"7.3")).key


def test_a_storage_file_is_one_piece() -> None:
    name = "0001_20260102_OML-11_000000000000101_20260102110000000_01_1"
    made = read(TWO, f"/r/000/1/0001/20260102/OML-11/{name}")
    assert not made.parts and made.key == ("0001", "20260102", "OML-11", "000000000000101")


def test_a_message_without_reports_is_one_piece() -> None:
    assert not read(lab(type_="ADT^A08^ADT_A01")).parts
