"""gateway/translate/rules.py: rows as data, and the promise that each field is mapped, left out on purpose, or residue."""

from pathlib import Path
from typing import Any

import pytest

from gateway import mapping_files
from gateway.codec.er7 import Segment
from gateway.codec.fhir import render
from gateway.errors import ConfigurationError
from gateway.sandbox.ssmix2 import generate
from gateway.translate.assembling import merge
from gateway.translate.context import Context, Facilities
from gateway.translate.leavings import all_but, keep, place, residue_of, spare
from gateway.translate.rules import SegmentRules, aim, check_names, mark, table
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, HOSPITAL, every, only, places, read, residue, sources, unmapped

ROWS = """
segment = "ZZZ"
resource = "Thing"
row = [
  { from = "ZZZ-1", to = "name", via = "text", cite = "test" },
  { from = "ZZZ-2", to = "inner.list[]", via = "cwe", cite = "test" },
  { from = "ZZZ-3", with = ["ZZZ-4"], to = "status", table = "observation-status", cite = "test" },
]
unmapped = [
  { from = "ZZZ-5", reason = "not needed" },
  { from = "ZZZ-2.7", reason = "version of the table" },
]
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compiles a rows file of the test; tables are those of the project."""
    real = mapping_files.path

    def load(content: str = ROWS) -> SegmentRules:
        (tmp_path / "ZZZ-Thing.toml").write_text(content, encoding="utf-8")
        place_of = lambda *parts: tmp_path / parts[-1] if parts[0] == "rows" else real(*parts)  # noqa: E731
        monkeypatch.setattr(mapping_files, "path", place_of)
        return SegmentRules("test", "ZZZ", "Thing")

    return load


def apply(rules: SegmentRules, text: str, explain: bool = True) -> tuple[dict[str, Any], Context]:
    context = Context(HOSPITAL, FACILITIES, "TEST")
    context.lineage = [] if explain else None
    target: dict[str, Any] = {"resourceType": "Thing", "id": "7"}
    rules.apply(Segment("ZZZ", text.split("|"), 2, 4, 0), {"Thing": target}, context)
    return target, context


def test_a_row_puts_its_value_where_it_says(rules: Any) -> None:
    target, context = apply(rules(), "ZZZ|a|x^X^99A|F")
    system = f"https://musubi.invalid/{HOSPITAL.oid}/CodeSystem/99A"
    concept = {"coding": [{"system": system, "code": "x", "display": "X"}], "text": "X"}
    assert target == {
        "resourceType": "Thing", "id": "7", "name": "a", "inner": {"list": [concept]}, "status": "final",
    }  # fmt: skip
    assert context.residue == []


def test_lineage_names_target_source_row_table_and_citation(rules: Any) -> None:
    _, context = apply(rules(), "ZZZ|a||F|more")
    status = ("test/ZZZ-Thing#status", "observation-status", "test", "")
    assert [tuple(entry) for entry in context.lineage or ()] == [
        ("Thing/7.name", "ZZZ[2]-1", "test/ZZZ-Thing#name", "", "test", "text", ()),
        ("Thing/7.status", "ZZZ[2]-3", *status, (("observation-status", "F", "final"),)),
        ("Thing/7.status", "ZZZ[2]-4", *status, ()),
    ]


def test_without_explain_there_is_no_lineage_and_the_same_output(rules: Any) -> None:
    text = "ZZZ|a^b|x^X^99A~y|Q|more|z|unknown"
    explained, with_lineage = apply(rules(), text)
    plain, without = apply(rules(), text, explain=False)
    assert plain == explained
    assert without.lineage is None
    assert without.residue == with_lineage.residue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ZZZ|a^b^^d", {"ZZZ[2]-1.2": "b", "ZZZ[2]-1.4": "d"}),
        ("ZZZ|a~b", {"ZZZ[2]-1": "b"}),
        ("ZZZ||x^X^99A^^^^^8", {"ZZZ[2]-2.8": "8"}),
        ("ZZZ||||more", {"ZZZ[2]-4": "more"}),
        ('ZZZ|||""|more', {"ZZZ[2]-4": "more"}),
        ("ZZZ||||||six^6~again", {"ZZZ[2]-6": "six^6~again"}),
        ("ZZZ|||Q|more", {"ZZZ[2]-3": "Q"}),
    ],
)
def test_what_no_row_reads_is_residue_at_its_place(rules: Any, text: str, expected: dict[str, str]) -> None:
    _, context = apply(rules(), text)
    assert dict(context.residue) == expected


@pytest.mark.parametrize("text", ['ZZZ|""|""|""|""|""|""', "ZZZ||||||^^~&", 'ZZZ|a~""|x^X^99A^""', "ZZZ|a^&|"])
def test_explicit_nulls_and_empty_delimiters_are_nothing(rules: Any, text: str) -> None:
    target, context = apply(rules(), text)
    assert context.residue == []
    assert "status" not in target


def test_fields_and_components_left_out_on_purpose_carry_the_reason(rules: Any) -> None:
    _, context = apply(rules(), "ZZZ||x^X^99A^^^^1.0||||")
    assert [tuple(entry) for entry in context.unmapped] == [("ZZZ[2]-2.7", "version of the table")]
    _, context = apply(rules(), "ZZZ|||||five")
    assert [tuple(entry) for entry in context.unmapped] == [("ZZZ[2]-5", "not needed")]


def test_a_code_outside_its_table_is_reported_at_its_own_field(rules: Any) -> None:
    # ZZZ-1 holds the same text: the place must not be that of the first field that looks alike.
    _, context = apply(rules(), "ZZZ|Q||Q~F")
    assert [(issue.code, issue.where) for issue in context.issues] == [("code-unknown", "ZZZ[2]-3")]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('via = "text", cite = "test"', 'via = "no_such_converter", cite = "test"', ConfigurationError),
        ('via = "text", cite = "test"', 'via = "text"', ValueError),
        ('via = "text", cite', 'via = "text", table = "observation-status", cite', ValueError),
        ('via = "text", cite', 'via = "text", when = "x", cite', ValueError),
        ('from = "ZZZ-1"', 'from = "PID-1"', ValueError),
        ('from = "ZZZ-1"', 'from = "ZZZ-x"', ValueError),
        ('table = "observation-status"', 'table = "no-such-table"', FileNotFoundError),
        ('with = ["ZZZ-4"]', 'with = ["PID-4"]', ValueError),
        ('from = "ZZZ-2.7", reason = "version of the table"', 'from = "ZZZ-2.7", reason = "another"', ValueError),
    ],
)
def test_a_broken_rows_file_stops_the_start(rules: Any, old: str, new: str, error: type[Exception]) -> None:
    rules()  # the first file to give a reason for ZZZ-2.7
    assert old in ROWS
    with pytest.raises(error):
        rules(ROWS.replace(old, new))


def test_a_table_with_a_source_twice_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twice.csv").write_text("source,target\nA,x\nA,y\n", encoding="utf-8")
    monkeypatch.setattr(mapping_files, "path", lambda *parts: tmp_path / parts[-1])
    with pytest.raises(ValueError, match="mapped twice"):
        table("twice")


def test_merge_joins_lists_and_objects_and_sets_scalars() -> None:
    out: dict[str, Any] = {"a": [1], "b": {"c": 1, "d": [1]}, "e": 1}
    merge(out, {"a": [2], "b": {"c": 2, "d": [2]}, "e": 2, "f": 3})
    assert out == {"a": [1, 2], "b": {"c": 2, "d": [1, 2]}, "e": 2, "f": 3}


def test_the_rest_of_a_reader_is_what_it_neither_reads_nor_knows() -> None:
    rest = all_but(1, words=((2, frozenset({"L"})),))
    assert rest('a^L^x^""') == ((3, "x"),)
    assert rest("a^M") == ((2, "M"),)


def test_a_field_read_beside_another_is_accounted_for() -> None:
    context = Context(HOSPITAL, FACILITIES, "TEST")
    segment = Segment("ZZZ", ["ZZZ", "1", "a^b~c^d", '""'], 1, 1, 0)
    spare(segment, 2, all_but(1), context)
    spare(segment, 3, all_but(1), context)
    assert [tuple(one) for one in context.residue] == [("ZZZ[1]-2", "c^d"), ("ZZZ[1]-2.2", "b")]
    context.residue.clear()
    keep(segment, 2, context)
    keep(segment, 3, context)
    assert [tuple(one) for one in context.residue] == [("ZZZ[1]-2", "a^b~c^d")]


def test_a_whole_segment_without_rules_is_residue_field_by_field() -> None:
    context = Context(HOSPITAL, FACILITIES, "TEST")
    residue_of(Segment("ZXX", ["ZXX", "1", "", '""', "値"], 3, 5, 0), context)
    assert [tuple(one) for one in context.residue] == [("ZXX[3]-1", "1"), ("ZXX[3]-4", "値")]


def test_a_line_that_is_no_segment_does_not_repeat_its_text_in_the_place() -> None:
    context = Context(HOSPITAL, FACILITIES, "TEST")
    residue_of(Segment("患者メモ", ["患者メモ", "電話"], 1, 5, 0), context)
    assert [tuple(one) for one in context.residue] == [("segment 6", "患者メモ|電話")]


def test_lineage_can_be_aimed_at_the_resource_a_fragment_became(rules: Any) -> None:
    _, context = apply(rules(), "ZZZ|a")
    since = mark(context)
    rules().apply(Segment("ZZZ", ["ZZZ", "b"], 3, 5, 0), {"Thing": {}}, context)
    aim(context, since, "Thing/.", "Whole/1.part.")
    assert [entry.target for entry in context.lineage or ()] == ["Thing/7.name", "Whole/1.part.name"]


def test_place_is_written_as_people_write_it() -> None:
    segment = Segment("OBX", ["OBX"], 3, 9, 0)
    assert (place(segment, 5), place(segment, 5, 1)) == ("OBX[3]-5", "OBX[3]-5.1")


def test_names_nobody_registered_are_found() -> None:
    assert check_names(["text", "no_such_converter"]) == ["no_such_converter"]


OBX = "OBX|1|NM|3B035000002327201^ＡＳＴ^JC10||13|U/L|13-30|H|||F|||20240601|^検査室|1^医師|x^法^99M|機器^2"


def test_every_field_of_a_real_segment_is_somewhere() -> None:
    converted = read("OML-11", "SPM|1|S1||023^血清^JC10", "OBR|1|1||E^x^99O", OBX)
    mentioned = sources(converted) | unmapped(converted) | set(residue(converted))
    assert {f"OBX[1]-{n}" for n in (1, 2, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 18)} <= mentioned
    assert residue(converted) == {"OBX[1]-18.2": "2"}
    assert only(converted, "Observation")["status"] == "final"
    assert places(converted, "code-unknown") == []
    assert len(every(converted, "Practitioner")) == 1


def test_memory_changes_nothing(tmp_path: Path) -> None:
    """The same files through a fresh memory each, through one memory twice, and with lineage (which uses none)."""
    root = tmp_path / "storage"
    generate(root, seed=21, patients=6, files=120)
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]

    def bundles(facilities: Facilities | None, explain: bool = False) -> list[bytes]:
        return [
            render(one.to_bundle("collection"))
            for path in files
            for one in read_file(path.read_bytes(), str(path), facilities or Facilities(), explain=explain)
        ]

    shared = Facilities()
    fresh = bundles(None)
    assert bundles(shared) == fresh
    assert bundles(shared) == fresh
    assert bundles(None, explain=True) == fresh
