"""Registration lists from a folder (6), and the ranges of the configuration."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.services.registers import load

V = ("1.0",)


def test_without_a_folder_there_are_no_lists() -> None:
    assert load(None, V, {}).missing() == ["consortia", "participants", "labs"]


def test_lists_are_csv_files(tmp_path: Path) -> None:
    text = "# 登録日 2017-09-01\nconsortium_id,name\nTST001,試験コンソーシアム\n"
    (tmp_path / "consortia.csv").write_text("\ufeff" + text[text.index("c") :], "utf-8")
    (tmp_path / "labs.csv").write_text("# x\nconsortium_id,lab_id,name\nTST001,L1,検査所\n", "utf-8")
    found = load(tmp_path, V, {})
    assert found.row("consortia", "TST001") == {"consortium_id": "TST001", "name": "試験コンソーシアム"}
    assert found.row("labs", "TST001", "L1") and found.missing() == ["participants"]


def test_or_one_json_file(tmp_path: Path, shared: Path) -> None:
    text = (shared / "samples" / "exchange-spec" / "registration-lists.json").read_text("utf-8")
    (tmp_path / "registration-lists.json").write_text(text, "utf-8")
    found = load(tmp_path, V, {})
    assert found.missing() == [] and found.row("labs", "TST001", "LAB000000001")
    assert found.hba1c_code("000001") == "3D046000001920402"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("other.csv", "a\n", "holds none of"),
        ("consortia.csv", "name\nx\n", "a row without consortium_id"),
        ("consortia.csv", "consortium_id,name\nx\n", "another number of columns"),
        ("registration-lists.json", "[]", "not an object of lists"),
        ("registration-lists.json", "{", "not an object of lists"),
        ("registration-lists.json", '{"people": []}', "unknown list 'people'"),
    ],
)
def test_a_list_that_cannot_be_read(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path, V, {})


def test_a_list_in_another_charset(tmp_path: Path) -> None:
    (tmp_path / "consortia.csv").write_bytes("consortium_id,name\nA,試験\n".encode("cp932"))
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load(tmp_path, V, {})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        load(tmp_path / "x", V, {})


@pytest.mark.parametrize("ranges", [{"steps": (Decimal(0), Decimal(1))}, {"step": (Decimal(2), Decimal(1))}])
def test_ranges_are_of_items(ranges: dict[str, tuple[Decimal, Decimal]]) -> None:
    with pytest.raises(ConfigurationError, match=r"exchange_spec\.ranges"):
        load(None, V, ranges)
