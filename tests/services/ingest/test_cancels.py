"""Cancels of movements (取消) in a storage: which of them take something back, known when the run is over."""

from pathlib import Path

import pytest

from tests.services.ingest.test_odd_storages import PATIENT, run

ADMITTED = "20260105100000"


def put(
    root: Path, data_type: str, trigger: str, time: str, *, flag: str = "1", day: str = "20260105", evn6: str = ""
) -> None:
    folder = root / PATIENT[:3] / PATIENT[3:6] / PATIENT / day / data_type
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"MSH|^~\\&|HIS|TOKYO-HP|||{time[:14]}||ADT^{trigger}|{time}|P|2.5||||||~ISO IR87",
        f"EVN|{trigger}|{time[:14]}||||{evn6}",
        f"PID|1||{PATIENT}^^^^PI||見本^花子^^^^^L^I||19700405|F",
        f"PV1|1|I|W1^101^1{'|' * 41}{ADMITTED}",
    ]
    name = f"{PATIENT}_{day}_{data_type}_999999999999999_{time}_01_{flag}"
    (folder / name).write_bytes(("\r".join(lines) + "\r").encode("iso2022_jp"))


def lonely(here: Path, root: Path) -> int:
    return run(here, root)[0].issues.get("cancel-without-event", 0)


def test_a_cancel_with_the_key_of_its_event_has_taken_it_back(tmp_path: Path) -> None:
    root = tmp_path / "1310000001"
    put(root, "ADT-22", "A01", "20260105100500000", flag="2")
    put(root, "ADT-22", "A11", "20260105110500000")
    assert lonely(tmp_path / "n", root) == 0


def test_a_cancel_of_which_no_event_is_known_is_told_of(tmp_path: Path) -> None:
    root = tmp_path / "1310000001"
    put(root, "ADT-22", "A01", "20260105100500000")
    put(root, "ADT-42", "A12", "20260107110500000", day="20260107", evn6="20260107090000")
    assert lonely(tmp_path / "n", root) == 1


@pytest.mark.parametrize("evn6", ["20260106090000", "20260106"])
def test_a_cancel_of_another_day_finds_the_event_of_its_time(tmp_path: Path, evn6: str) -> None:
    root = tmp_path / "1310000001"
    put(root, "ADT-22", "A01", "20260105100500000")
    put(root, "ADT-42", "A12", "20260107110500000", day="20260107", evn6=evn6)  # read first
    put(root, "ADT-42", "A02", "20260106090500000", day="20260106", evn6="20260106090000")
    assert lonely(tmp_path / "n", root) == 0


def test_an_event_that_comes_in_a_later_run_ends_the_doubt(tmp_path: Path) -> None:
    root = tmp_path / "1310000001"
    put(root, "ADT-42", "A12", "20260107110500000", day="20260107", evn6="20260106090000")
    assert lonely(tmp_path / "n", root) == 1
    assert lonely(tmp_path / "n", root) == 0  # nothing new, nothing said
    put(root, "ADT-42", "A02", "20260106090500000", day="20260106", evn6="20260106090000")
    assert lonely(tmp_path / "n", root) == 0
