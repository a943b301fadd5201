"""Rows of SSMIXIDX in the forms in which databases give them."""

import pytest

from gateway.codec.index_feed import COLUMNS, IndexRow, csv_rows, nanoseconds, rows
from gateway.errors import BadInput

NAME = "0000012345_20240601_OML-11_000000000000777_20240601120000123_01_1"
CELLS = (
    "STD01", "1310000001", "0000012345", "20240601", "OML-11", "000000000000777", "INS", "01", "20240601120000123",
    "000\\001\\0000012345\\20240601\\OML-11", NAME, "2024-06-01 12:00:01.5",
)  # fmt: skip
PATH = ("000", "001", "0000012345", "20240601", "OML-11", NAME)


def one(*cells: object) -> IndexRow | BadInput:
    (row,) = rows([cells])
    return row


def changed(**cells: object) -> IndexRow | BadInput:
    return one(*(cells.get(column, value) for column, value in zip(COLUMNS, CELLS, strict=True)))


def test_a_row_says_where_its_document_lies() -> None:
    row = one(*CELLS)
    assert isinstance(row, IndexRow)
    assert row.path == PATH and row.name.name == NAME and not row.deletion
    assert row.updated_ns == nanoseconds("20240601120001500") > 0


@pytest.mark.parametrize(
    "directory",
    ["000/001/0000012345/20240601/OML-11", "\\000\\001\\0000012345\\20240601\\OML-11\\", f"{'/'.join(PATH)}"],
)
def test_directories_in_other_spellings(directory: str) -> None:
    row = changed(OutRelDirectory=directory)
    assert isinstance(row, IndexRow) and row.path == PATH


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("OutRelDirectory", "..\\..\\etc"),
        ("OutRelDirectory", "000/../../.."),
        ("OutRelDirectory", "C:\\data"),
        ("FileName", "../x"),
        ("FileName", "a\x00b"),
        ("ProcessingType", "UPD"),
        ("ProcessingType", ""),
    ],
)
def test_what_must_not_be_used_is_not(column: str, value: str) -> None:
    row = changed(**{column: value})
    assert isinstance(row, BadInput) and "12345" not in str(row)


def test_a_deletion_has_flag_0_and_its_own_time() -> None:
    row = changed(ProcessingType="DEL", TransactionDatetime="20240602080000000", FileName=NAME[:-1] + "0")
    assert isinstance(row, IndexRow) and row.deletion
    assert (row.name.flag, row.name.timestamp) == ("0", "20240602080000000")


def test_a_deletion_without_a_file_is_named_by_the_columns() -> None:
    row = changed(ProcessingType="DEL", FileName="", OrderDate="2024-06-01", OrderNo=777)
    assert isinstance(row, IndexRow) and row.path == ()
    assert row.name.key == ("0000012345", "20240601", "OML-11", "777")
    assert isinstance(changed(FileName="", PatientID=""), BadInput)


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_csv_with_and_without_names(head: bool, delimiter: str) -> None:
    lines = [delimiter.join(f'"{cell}"' for cell in CELLS) + "\r\n"]
    if head:
        lines.insert(0, delimiter.join(COLUMNS).upper() + "\r\n")
    assert list(csv_rows(lines)) == list(rows([CELLS]))


def test_columns_in_another_order_are_found_by_name() -> None:
    assert list(rows([CELLS[::-1]], [column.lower() for column in COLUMNS[::-1]])) == list(rows([CELLS]))
    padded = tuple(f"{cell}   " for cell in CELLS)
    assert list(rows([padded])) == list(rows([CELLS]))


@pytest.mark.parametrize("lines", [[], ["a,b,c"], ["%PDF-1.7"], ["\x00\x01"]])
def test_what_is_no_index_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadInput):
        list(csv_rows(lines))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-06-01 12:00:00", "20240601120000"),
        ("2024/6/1 9:05:03.25", "20240601090503250"),
        ("2024-06-01T12:00:00.123456+09:00", "20240601120000123456"),
        ("2024-06-01-12.00.00.123456", "20240601120000123456"),
        ("2024-06-01", "20240601"),
    ],
)
def test_times_in_the_spellings_of_databases(text: str, same: str) -> None:
    assert nanoseconds(text) == nanoseconds(same) > 0


@pytest.mark.parametrize("text", ["", "yesterday", "20241301", "2024-02-30 00:00:00", "20240601250000", "9" * 40])
def test_what_is_no_time_is_zero(text: str) -> None:
    assert nanoseconds(text) == 0


def test_times_compare() -> None:
    texts = ["2024-05-31 23:59:59.999", "2024-06-01", "20240601000000001", "2024-06-01 00:00:00.002"]
    assert sorted(texts, key=nanoseconds) == texts
