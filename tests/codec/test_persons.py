"""Records of persons as lines of JSON."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.persons import MAX_LINE_BYTES, PersonLine, read, render
from gateway.errors import BadInput
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName

FULL = PersonLine(
    7,
    (PatientId("1", "9.1"), PatientId("M", "9.3")),
    Demographics(
        names=(PersonName("見本", "花子", "", "kanji"), PersonName("旧", "花子", "", "kanji", "maiden")),
        birth_date="19800102",
        sex="F",
        addresses=(PersonAddress("100-0099", text="架空区1", use="home"),),
        telecoms=("03-1234-5678",),
        mothers_maiden_name=PersonName("母"),
        birth_order=2,
        multiple_birth=True,
        deceased=False,
    ),
    twins=3,
)


@pytest.mark.parametrize("line", [FULL, PersonLine(0, (), Demographics())])
def test_there_and_back(line: PersonLine) -> None:
    assert read(render(line)) == line


def test_what_is_empty_is_left_out() -> None:
    assert b"telecoms" not in render(PersonLine(0, (), Demographics(birth_date="1980")))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"1", b"{}", b'{"demographics": 1}', b'{"demographics": {"nick": "x"}}', b"\xff",
        b'{"demographics": {"names": ["x"]}}', b'{"demographics": {"names": [{"nick": "x"}]}}',
        b'{"demographics": {"birth_date": 1980}}', b'{"demographics": {}, "ids": ["x"]}',
        b'{"demographics": {"sex": null}}', b" " * (MAX_LINE_BYTES + 1),
    ],
)  # fmt: skip
def test_other_lines_are_refused_without_repeating_them(line: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        read(line)
    assert "x" not in str(refused.value).replace("exc", "")


@given(st.binary(max_size=60))
def test_any_bytes(line: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(read(line), PersonLine)
