"""A message that was cut must not pass as a whole one; a whole one without its last line end must."""

from pathlib import Path

import pytest

from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file

FIXTURES = Path(__file__).parents[2] / "fixtures" / "demo"
NAME = "1_20240101_OML-11_1_20240101000000000_-_1"
HEAD = "MSH|^~\\&|A|B|C|D|20240101||OUL^R22^OUL_R22|1|P|2.5\rPID|1||1||A^B\r"
OBX = "OBX|1|NM|3D010000001926101^G^JC10||100|mg/dL|||||F"


def read(text: str) -> Converted:
    return read_file(text.encode(), NAME, Facilities())[0]


def is_cut(one: Converted) -> bool:
    return one.rejected is not None and one.rejected.code == "truncated"


@pytest.mark.parametrize(
    ("end", "cut"),
    [
        ("SPM|1||023\rOBR|1|||X\r" + OBX, False),
        ("SPM|1||023\rOBR|1|||X\r" + OBX + "\r", False),
        ("SPM|1||023\rOBR|1|||X\r" + OBX[:-3], True),
        ("SPM|1||023\rOBR|1|||X\r" + OBX[:-3] + "\r", False),  # ended by its sender: OBX-11 is missing, not cut off
        ("SPM|1||023", True),
        ("SPM|1||023\rOBR|1|||X", True),
        ("SPM|1||023\rOBR|1|||X\r" + OBX + "\rOB", True),
        ("SPM|1||023\rOBR|1|||X\r" + OBX + "\rZZZ|1", False),  # a segment we do not know proves nothing
    ],
)
def test_a_last_segment_without_end_tells_whether_the_message_was_cut(end: str, cut: bool) -> None:
    assert is_cut(read(HEAD + end)) is cut


def test_a_result_may_end_with_its_specimen_where_specimens_stand_last() -> None:
    """ORU^R01 of a laboratory: { [ORC] OBR [{OBX}] [{SPM}] } (HL7 v2.5 7.3.1)."""
    head = HEAD.replace("OUL^R22^OUL_R22", "ORU^R01^ORU_R01")
    assert not is_cut(read(head + "OBR|1|||X\r" + OBX + "\rSPM|1|||023^^JC10"))
    assert is_cut(read(head + "OBR|1|||X\r" + OBX + "\rSPM|1"))


def test_whole_files_without_their_last_line_end_are_whole() -> None:
    files = [path for path in sorted(FIXTURES.rglob("*_[012]")) if path.is_file()]
    assert len(files) > 50
    for path in files:
        data = path.read_bytes().rstrip(b"\r\n")
        assert not any(is_cut(one) for one in read_file(data, str(path), Facilities())), path.name


def test_most_cuts_of_a_result_are_noticed() -> None:
    """Not all can be: a cut between two segments, or behind the last mandatory field, leaves a plausible message."""
    path = next(path for path in sorted(FIXTURES.rglob("*OML-11*_1")) if path.is_file())
    data = path.read_bytes()
    noticed = 0
    for length in range(1, len(data) - 1):
        one = read_file(data[:length], str(path), Facilities())[0]
        noticed += one.rejected is not None or any(i.severity == "error" for i in one.translated.issues)
    assert noticed > 0.9 * len(data)
