"""gateway/codec/jahistc_parts.py: notebooks in several pieces."""

import pytest

from gateway.codec.jahistc import Notebook, NotebookError, Record, parse
from gateway.codec.jahistc_parts import join, split
from gateway.errors import LimitExceeded

LINES = [
    "1,試験 太郎,1,S450102,,,,,,,ｼｹﾝ ﾀﾛｳ",
    "2,1,卵,1",
    "3,かぜ薬,R070501,R070503,2,1",
    "31,1,成分,1,,2",
    "5,20250610,1",
    "11,試験薬局,13,4,9900001,,,,1",
    "15,試験 薬子,,1",
    "51,試験病院,13,1,9900002,1",
    "55,試験 医太,内科,1",
    "201,1,薬Ａ,3,錠,1,,1",
    "281,1,一包化,1",
    "201,1,薬Ｂ,3,錠,1,,1",
    "301,1,【分３　毎食後】,14,日分,1,1,,1",
    "55,別の 医師,眼科,1",
    "201,2,点眼液,1,本,1,,1",
    "301,2,【点眼】,1,調剤,5,1,,1",
    "401,注意してください,1",
    "5,20250401,1",
    "11,別の薬局,27,4,9900003,,,,1",
    "201,1,薬Ｃ,1,錠,1,,1",
    "301,1,【頭痛時】,10,回分,3,1,,1",
]


def whole(*lines: str) -> Notebook:
    return parse("".join(f"{line}\r\n" for line in ("JAHISTC08,1", *(lines or LINES))).encode("cp932"))


def texts(notebook: Notebook) -> list[str]:
    return [record.text() for record in notebook.records]


def part(n: int, of: int, *lines: str, data_id: str = "20250610000001") -> Notebook:
    return whole(LINES[0], *lines, f"911,{data_id},{of},{n}")


@pytest.mark.parametrize("max_bytes", [330, 400, 600, 2_000])
def test_split_and_joined_is_the_same_notebook(max_bytes: int) -> None:
    parts = split(whole(), data_id="20250610000001", max_bytes=max_bytes)
    assert max(map(len, parts)) <= max_bytes
    assert all(parse(one).records[0].number == "1" for one in parts)
    if len(parts) > 1:
        joined = join([parse(one) for one in reversed(parts)])
        assert texts(joined) == LINES
    else:
        assert texts(parse(parts[0])) == LINES


def test_parts_repeat_what_makes_them_complete() -> None:
    parts = [parse(one) for one in split(whole(), data_id="1", max_bytes=330)]
    drug = next(one for one in parts if any(r.item("name") == "点眼液" for r in one.records))
    assert [record.number for record in drug.records] == ["1", "5", "11", "15", "51", "55", "201", "301", "401", "911"]
    assert drug.records[5].item("name") == "別の 医師"


def test_a_missing_part_is_named() -> None:
    with pytest.raises(NotebookError, match=r"^part 2 of 3 missing$"):
        join([part(1, 3), part(3, 3)])
    with pytest.raises(NotebookError, match=r"^part 1, 2, 4 of 4 missing$"):
        join([part(3, 4)])


def test_the_same_part_twice_is_no_harm_and_two_different_ones_are_refused() -> None:
    one, two = part(1, 2, "4,メモ,20250610,1"), part(2, 2)
    assert texts(join([one, two, one])) == [LINES[0], "4,メモ,20250610,1"]
    with pytest.raises(NotebookError, match="twice with different content"):
        join([one, part(1, 2, "4,別のメモ,20250610,1"), two])


def test_parts_of_two_notebooks_or_two_patients_are_refused() -> None:
    with pytest.raises(NotebookError, match="different notebooks"):
        join([part(1, 2), part(2, 2, data_id="2")])
    with pytest.raises(NotebookError, match="different notebooks"):
        join([part(1, 2), part(2, 3)])
    other = whole("1,試験 花子,2,S450102", "911,20250610000001,2,2")
    with pytest.raises(NotebookError, match="different patients"):
        join([part(1, 2), other])


@pytest.mark.parametrize("mark", ["911,1,2,3", "911,1,0,0", "911,1,x,1", "911,1,2,", "911,1,1234,1"])
def test_a_mark_that_makes_no_sense_is_refused(mark: str) -> None:
    with pytest.raises(NotebookError, match="does not say which part"):
        join([whole(LINES[0], mark)])


def test_two_blocks_of_one_day_at_two_pharmacies_stay_two() -> None:
    one = part(1, 2, "5,20250610,1", "11,甲薬局", "201,1,薬Ａ,1,錠,1")
    two = part(2, 2, "5,20250610,1", "11,乙薬局", "201,1,薬Ｂ,1,錠,1")
    assert texts(join([one, two]))[1:] == [
        "5,20250610,1", "11,甲薬局", "201,1,薬Ａ,1,錠,1", "5,20250610,1", "11,乙薬局", "201,1,薬Ｂ,1,錠,1",
    ]  # fmt: skip


def test_equal_drugs_of_two_parts_are_two_drugs() -> None:
    lines = ("5,20250610,1", "11,甲薬局", "201,1,薬Ａ,1,錠,1")
    assert texts(join([part(1, 2, *lines), part(2, 2, *lines)])).count("201,1,薬Ａ,1,錠,1") == 2


def test_a_group_longer_than_a_part_cannot_be_split() -> None:
    with pytest.raises(LimitExceeded):
        split(whole(), data_id="1", max_bytes=150)


def test_pieces_of_qr_symbols_are_joined_as_bytes_wherever_they_were_cut() -> None:
    data = "JAHISTC08,1\r\n1,漢字 太郎,1,S450102\r\n".encode("cp932")
    for size in range(1, len(data)):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert Record("1", ("漢字 太郎", "1", "S450102"), 2) in parse(b"".join(pieces)).records
