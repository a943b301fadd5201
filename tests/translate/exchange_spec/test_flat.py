"""Flat CSV files: the same records as in JSON, found with line and column."""

import csv
import io
from typing import Any

import pytest

from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.source import as_one, recognises
from tests.translate.exchange_spec.making import RECORDS, SENT, codes, convert, envelope, observations, person, record


def table(*rows: dict[str, Any], encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return out.getvalue().encode(encoding)


def row(type_: str, person_id: str = "P0000001", **changes: Any) -> dict[str, Any]:
    return {"consortium_id": "TST001", "person_id": person_id, "send_time": SENT, **record(type_, **changes)}


@pytest.mark.parametrize("type_", RECORDS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_a_row_says_what_the_record_says(type_: str, encoding: str) -> None:
    data = table(row(type_), encoding=encoding)
    assert recognises(data, "x.csv")
    (flat,) = convert(data, path="x.csv")
    (same,) = convert(envelope(person(**{type_: [record(type_)]})))
    assert codes(flat) == [] and observations(flat) == observations(same)
    # What is kept is the envelope, which says the same in the convention's own form.
    assert flat.original == same.original and flat.sha256 != same.sha256


def test_what_was_not_measured_is_an_empty_cell() -> None:
    (made,) = convert(table(row("activity_monitor", walk_time="", calories="")), path="x.csv")
    assert codes(made) == [] and not {"walk_time", "calories"} & set(observations(made))


def test_without_a_send_time_the_newest_update_time_is_taken() -> None:
    rows = [{k: v for k, v in row("weighing_scale", update_time=u).items() if k != "send_time"}
            for u in ("20171005093000000", "20171006093000")]  # fmt: skip
    rows[1]["observation_time"] = "20171002070000"
    (made,) = convert(table(*rows), path="x.csv")
    assert made.version_time == "20171006093000000" and codes(made) == ["W-UPDATE14"]


def test_findings_have_line_and_column() -> None:
    bad = [row("weighing_scale"), row("weighing_scale", body_weight="7２", observation_time="20171002070000")]
    bad += [row("weighing_scale", person_id="NOBODY")]
    made = convert(table(*bad), path="x.csv")
    assert [(issue.text.split()[0], issue.where) for issue in made[0].translated.issues if issue.code != "facility-unknown"] == [
        ("E-TYPE:body_weight", "line 3, column 5")
    ]  # fmt: skip
    assert made[1].error is not None and made[1].error.where == "line 4, column 2"
    whole = as_one(made, table(*bad))
    assert whole.outcome is not None and whole.outcome["issue"][-1]["expression"] == ["line 4, column 2"]


def test_nobody_elses_row_is_in_what_is_kept_of_a_person() -> None:
    made = convert(table(row("weighing_scale"), row("weighing_scale", person_id="P0000002")), path="x.csv")
    assert [b"P0000001" in one.original for one in made] == [True, False]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"consortium_id,person_id,observation_time,update_time\r\nTST001,P1,20171001070000,20171001070000000\r\n", "E-HEADER"),
        (table(row("weighing_scale")).replace(b"body_fat", b"body_weight"), "E-HEADER"),
        (table(row("weighing_scale")).replace(b"72.50", b'"72.50'), "E-HEADER"),
        (table(row("weighing_scale")).rstrip() + b",1\r\n", "E-HEADER"),
        (table(row("weighing_scale"), {**row("weighing_scale"), "consortium_id": "TST002"}), "E-HEADER"),
        (table(row("weighing_scale", model_number="~")).replace(b"~", b"\xff\xff"), "E-ENCODING"),
        (table(row("weighing_scale"))[:140].partition(b"\n")[0] + b"\n", "E-HEADER"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_trusted(data: bytes, code: str) -> None:
    (made,) = convert(data, path="x.csv")
    assert made.error is not None and made.error.text.startswith(code)


def test_an_unknown_column_is_kept() -> None:
    (made,) = convert(table(row("weighing_scale", room="４１２")), Registers(), path="x.csv")
    assert codes(made) == ["W-UNKNOWN-KEY"]
    assert any("４１２" in str(one) for one in observations(made)["body_weight"]["extension"])
