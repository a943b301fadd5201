"""gateway/services/quality.py: what is counted, that counts add up, and that no words of a message come out."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.services import quality
from gateway.services.ingest.files import Found
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.summary import field_of
from gateway.services.quality import Quality, QualityReader, make_quality_reader, merged
from tests.translate.messages import HOSPITAL, er7, file_name, msh

JLAC = "3B035000002327201"


@pytest.fixture
def reader() -> QualityReader:
    return make_quality_reader(ReadingRules((HOSPITAL,), "1.2.3"))


@pytest.fixture
def count(reader: QualityReader) -> Callable[..., Quality]:
    def of(*segments: str, data_type: str = "OML-11", **parts: str) -> Quality:
        return reader.count(er7(data_type, *segments, **parts), file_name(data_type, "77"))

    return of


def obx(code: str, value: str = "20", unit: str = "U/L", kind: str = "NM") -> str:
    return f"OBX|1|{kind}|{code}||{value}|{unit}|||||F"


def test_types_charsets_issues_and_residue_are_counted(count: Callable[..., Quality]) -> None:
    found = count("OBR|1|77||E1^x^99X", "ZZZ|1|何か")
    assert found.types == {"OML-11": 1} and found.messages == 1
    assert found.charsets == {("ISO-2022-JP", "ISO-2022-JP"): 1}
    assert found.residue["ZZZ-1"] == found.residue["ZZZ-2"] == 1
    assert count(encoding="utf-8").charsets == {("ISO-2022-JP", "UTF-8"): 1}
    assert ("warning", "charset-mismatch") in count(encoding="utf-8").issues
    plain = msh("OML-11").replace("~ISO IR87", "")
    assert [declared for declared, _ in count(head=plain).charsets] == ["(none)"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (f"{JLAC}^AST^JC10", "standard"),
        (f"A1^AST^99X^{JLAC}^AST^JC10", "standard"),
        ("A1^AST^99X", "local"),
        ("3B035^AST^JC10", "local"),
        ("^AST", "text"),
        ("A1", "local"),
    ],
)
def test_a_code_is_standard_local_or_words(count: Callable[..., Quality], code: str, kind: str) -> None:
    found = count(obx(code))
    assert {k: n for (place, k), n in found.coded.items() if place == "OBX-3"} == {kind: 1}


def test_codes_nobody_maps_are_named_and_words_in_their_place_are_not(count: Callable[..., Quality]) -> None:
    found = count(obx("A1^AST^99X"), obx("A1^AST^99X"), obx("見本 結子^AST^99X"), obx("A" * 41 + "^x^99X"))
    assert found.unmapped["OBX-3", "99X", "A1"] == 2
    assert found.unmapped["OBX-3", "99X", "(words)"] == 2


def test_numbers_without_a_unit_are_counted_by_their_test(count: Callable[..., Quality]) -> None:
    found = count(obx(f"{JLAC}^AST^JC10", unit=""), obx(f"{JLAC}^AST^JC10"), obx("X^x^99X", value="", unit=""))
    assert found.numbers == 2 and found.no_unit == {JLAC: 1}
    assert count(obx("X^x^99X", value="陰性", unit="", kind="ST")).numbers == 0


def test_a_unit_is_standard_when_it_has_a_safe_code(count: Callable[..., Quality]) -> None:
    found = count(obx("A^a^99X", unit="U/L"), obx("A^a^99X", unit="甲乙"))
    assert (found.coded["OBX-6", "standard"], found.coded["OBX-6", "local"]) == (1, 1)


def test_coded_results_count_and_others_do_not(count: Callable[..., Quality]) -> None:
    found = count(obx("A^a^99X", value="1^陰性^99Y", unit="", kind="CWE"), obx("A^a^99X", value="陰性", kind="ST"))
    assert {k: n for (place, k), n in found.coded.items() if place == "OBX-5"} == {"local": 1}


def test_one_code_with_several_wordings_is_a_conflict(count: Callable[..., Quality]) -> None:
    found = merged([count(obx("A^GOT^99X")), count(obx("A^AST^99X")), count(obx("B^ALT^99X"))])
    assert found.conflicts() == {("OBX-3", "99X", "A"): 2}


def test_lengths_of_jlac10(count: Callable[..., Quality]) -> None:
    found = count("SPM|1|S1||023^血清^JC10", obx(f"{JLAC}^AST^JC10"), obx("3B035^AST^JLAC10"))
    assert found.jlac10 == {17: 1, 5: 1}
    assert found.coded["SPM-4", "standard"] == 1


def test_usage_stands_in_subcomponents(count: Callable[..., Quality]) -> None:
    found = count("ORC|NW|77||1", "RXE||1^x^99X|1", "TQ1|1||1013044400000000&朝昼夕食後&JAMISDP01", data_type="OMP-01")
    assert found.coded["TQ1-3", "standard"] == 1


def test_what_cannot_be_read_is_counted_by_its_reason(reader: QualityReader, tmp_path: Path) -> None:
    assert reader.count(b"%PDF-1.7", "x").rejected == {"not-hl7": 1}
    assert reader.count(b"%PDF-1.7", "x").messages == 0
    file = tmp_path / "big"
    file.write_bytes(b"x" * 100)
    small = QualityReader(ReadingRules((), "", max_file_bytes=10))
    for found, reason in (
        (Found(bytes(file), 100, 0), "too-large"),
        (Found(b"/x", 0, 0, "no"), "unreadable"),
    ):
        assert small.read(found).rejected == {reason: 1}
    assert small.read(Found(bytes(tmp_path / "gone"), 0, 0)) == Quality()


def test_an_error_of_ours_costs_one_file(
    reader: QualityReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("見本 結子")

    monkeypatch.setattr(quality, "read_file", fail)
    file = tmp_path / "one"
    file.write_bytes(er7("ADT-12"))
    assert reader.read(Found(bytes(file), 1, 0)).rejected == {"internal-error": 1}


def test_counts_add_up_and_travel_between_processes(count: Callable[..., Quality]) -> None:
    one, other = count(obx("A^GOT^99X")), count(obx("A^AST^99X"), obx("B^x^99X"))
    both = merged([one, pickle.loads(pickle.dumps(other))])
    assert both.as_dict(9) == merged([other, one]).as_dict(9)
    assert both.messages == 2 and both.coded["OBX-3", "local"] == 3


def test_a_report_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MOST", 10)
    total = merged(Quality(unmapped={("OBX-3", "99X", str(n % 11)): 1}) for n in range(1000))  # type: ignore[arg-type]
    assert len(total.unmapped) <= 10 and total.forgotten > 0
    assert len(Quality().as_dict(1)["unmapped"]) == 0


def test_what_stands_in_the_place_of_a_type_or_charset_is_not_shown(count: Callable[..., Quality]) -> None:
    head = msh("秘密").replace("~ISO IR87", "~見本")
    found = count(head=head)
    assert "秘密" not in json.dumps(found.as_dict(9), ensure_ascii=False)
    assert ("(unknown)", "ISO-2022-JP") in found.charsets


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("OBX[3]-5.1", "OBX-5.1"),
        ("/data/12/step", "/data/*/step"),
        ("segment 4", "segment"),
        ("line 3, record 999", "record 999"),
    ],
)
def test_places_of_one_field_are_one_line(where: str, place: str) -> None:
    assert field_of(where) == place


def test_no_words_names_numbers_or_times_of_a_message_come_out(count: Callable[..., Quality]) -> None:
    secret = "秘密の所見"
    found = count(
        f"OBR|1|77||E1^{secret}^99X|||20240601",
        obx(f"A1^{secret}^99X", value="13579"),
        obx(f"{secret}^x^99X", value=secret, kind="ST"),
        obx("X^x^99X", value=f"{secret}^{secret}^99Y", kind="CWE"),
        f"NTE|1||{secret}",
    )
    text = json.dumps(found.as_dict(100), ensure_ascii=False)
    assert not any(word in text for word in (secret, "見本", "結子", "0000012345", "13579", "19700405"))
