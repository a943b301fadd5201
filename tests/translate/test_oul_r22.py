"""gateway/translate/oul_r22.py: laboratory reports in every order of their segments."""

import timeit
from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.observation import JLAC10
from tests.translate.messages import codes, every, msh, only, places, read, residue, sources, unmapped

AST = "3B035000002327201^ＡＳＴ^JC10"
SPM = "SPM|1|S1||023^血清^JC10|||||||||||||20240601"
ORC = "ORC|SC|000000000005000"


def obr(code: str = "E1", **fields: str) -> str:
    numbered = {1: "1", 2: "000000000005000", 4: f"{code}^検査^99O"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["OBR", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def obx(value: str = "13", status: str = "F", code: str = AST, time: str = "") -> str:
    return f"OBX|1|NM|{code}||{value}||||||{status}|||{time}"


def lab(*segments: str) -> Any:
    return read("OML-11", *segments, order="000000000005000")


def shape(converted: Any) -> list[tuple[str, int]]:
    """(local code of the report, number of its results), in message order."""
    return [
        (report["code"]["coding"][1]["code"], len(report.get("result", ())))
        for report in every(converted, "DiagnosticReport")
    ]


def test_fields_filled_up_with_blanks_say_what_they_say_without() -> None:
    """Senders that write from fixed columns fill fields up, and a segment may end in blanks (SS-MIX2, section 6)."""
    result = "OBX|1 |NM |3D010000001926101  ^血糖  ^JC10  | |7.20  |mg/dL   |70-109|H   |||F   |||20240601090000  "
    converted = read(
        "OML-11",
        SPM,
        obr(),
        result,
        order="000000000005000",
        head=msh("OML-11", sender="TOKYO-HP  "),
        pid="PID|1||0000012345  ^^^^PI||見本^結子^^^^^L^I||19700405 |F ",
    )
    made = only(converted, "Observation")
    assert (made["status"], made["effectiveDateTime"]) == ("final", "2024-06-01T09:00:00+09:00")
    assert made["code"]["coding"] == [{"system": JLAC10, "code": "3D010000001926101", "display": "血糖"}]
    amount = made["valueQuantity"]
    assert (amount["value"], amount["unit"], amount["code"]) == (Decimal("7.20"), "mg/dL", "mg/dL")
    assert [(flag["coding"][0]["code"], "text" in flag) for flag in made["interpretation"]] == [("H", False)]
    patient = only(converted, "Patient")
    assert (patient["gender"], patient["identifier"][0]["value"]) == ("female", "0000012345")
    assert codes(converted) == [] and residue(converted) == {}


# -- grouping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param((SPM, obr("E1"), ORC, obx(), obr("E2"), ORC, obx(), obx()), id="OBR, then ORC"),
        pytest.param((SPM, ORC, obr("E1"), obx(), ORC, obr("E2"), obx(), obx()), id="ORC, then OBR"),
        pytest.param((SPM, obr("E1"), obx(), obr("E2"), obx(), obx()), id="no ORC"),
    ],
)
def test_results_belong_to_their_report_in_either_order(segments: tuple[str, ...]) -> None:
    assert shape(lab(*segments)) == [("E1", 1), ("E2", 2)]


def test_a_report_without_results_does_not_swallow_the_next_one() -> None:
    converted = lab(SPM, obr("E1"), ORC, obr("E2"), ORC, obx())
    assert shape(converted) == [("E1", 0), ("E2", 1)]
    assert "result" not in every(converted, "DiagnosticReport")[0]


def test_each_specimen_has_its_reports() -> None:
    converted = lab(SPM, obr("E1"), obx(), "SPM|2|S2||019^全血^JC10", obr("E2"), obx())
    specimens = [specimen["id"] for specimen in every(converted, "Specimen")]
    assert [r["specimen"][0]["reference"] for r in every(converted, "DiagnosticReport")] == [
        f"Specimen/{s}" for s in specimens
    ]
    assert [o["specimen"]["reference"] for o in every(converted, "Observation")] == [f"Specimen/{s}" for s in specimens]
    assert len({o["id"] for o in every(converted, "Observation")}) == 2


@pytest.mark.parametrize("after", [(), ("SPM|2|S2",), ("TQ1|1",), ("TQ1|1", "SPM|2|S2")])
def test_no_specimen_is_lost_whatever_follows_it(after: tuple[str, ...]) -> None:
    converted = lab(SPM, *after)
    assert len(every(converted, "Specimen")) == 1 + sum(segment.startswith("SPM") for segment in after)


def test_results_without_any_obr_have_no_report() -> None:
    converted = lab(SPM, obx(), obx("14", code="3C015000002327101^ＣＲＥ^JC10"))
    assert len(every(converted, "Observation")) == 2
    assert every(converted, "DiagnosticReport") == []


def test_an_obr_after_results_begins_a_report_of_its_own() -> None:
    assert shape(lab(SPM, obx(), obr("E1"), obx("2", code="3C015000002327101^ＣＲＥ^JC10"))) == [("E1", 1)]


# -- reports ----------------------------------------------------------------------------------------------------------


def test_a_report() -> None:
    converted = lab(SPM, obr(f3="F1", f7="20240601090500", f22="20240601111748"), obx())
    report = only(converted, "DiagnosticReport")
    assert [coding["code"] for coding in report["code"]["coding"]] == ["11502-2", "E1"]
    assert report["code"]["text"] == "検査"
    assert report["category"] == [{"coding": [{"system": "http://loinc.org", "code": "LP29693-6"}]}]
    assert [i["type"]["coding"][0]["code"] for i in report["identifier"]] == ["PLAC", "FILL"]
    assert report["basedOn"][0]["identifier"]["value"] == "000000000005000"
    assert report["effectiveDateTime"] == "2024-06-01T09:05:00+09:00"
    assert report["issued"] == "2024-06-01T11:17:48+09:00"
    targets = {entry.target for entry in converted.translated.lineage if entry.source.startswith("OBR")}
    assert all(target.startswith(f"DiagnosticReport/{report['id']}.") for target in targets)


def test_a_report_without_a_code_has_the_document_code() -> None:
    report = only(lab(SPM, "OBR|1|000000000005000", obx()), "DiagnosticReport")
    assert [coding["code"] for coding in report["code"]["coding"]] == ["11502-2"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("FF", "final"), ("FP", "partial"), ("PP", "preliminary"), ("FC", "corrected"), ("II", "registered"),
        ("PI", "preliminary"), ("FX", "final"),
        ("XX", "cancelled"), ("DD", "entered-in-error"), ("XD", "unknown"), ("FD", "final"), ("F?", "unknown"), ("", "unknown"),
    ],
)  # fmt: skip
def test_without_obr_25_a_report_is_as_far_as_its_results(statuses: str, expected: str) -> None:
    converted = lab(SPM, obr(), *(obx(status=status) for status in statuses))
    assert only(converted, "DiagnosticReport")["status"] == expected
    assert ("OBR[1]-25" in places(converted, "no-status")) == (expected == "unknown")


@pytest.mark.parametrize(
    ("sent", "expected"), [("F", "final"), ("P", "preliminary"), ("A", "partial"), ("X", "cancelled")]
)
def test_obr_25_wins(sent: str, expected: str) -> None:
    assert only(lab(SPM, obr(f25=sent), obx(status="C")), "DiagnosticReport")["status"] == expected


def test_an_unknown_obr_25_is_reported_and_the_results_decide() -> None:
    converted = lab(SPM, obr(f25="?"), obx())
    assert only(converted, "DiagnosticReport")["status"] == "final"
    assert places(converted, "code-unknown") == ["OBR[1]-25"]


@pytest.mark.parametrize(
    ("first", "last", "element", "left"),
    [
        ("20240601", "", {"effectiveDateTime": "2024-06-01"}, {}),
        ("20240601", "20240601", {"effectiveDateTime": "2024-06-01"}, {}),
        ("20240601", "20240603", {"effectivePeriod": {"start": "2024-06-01", "end": "2024-06-03"}}, {}),
        ("20240603", "20240601", {"effectiveDateTime": "2024-06-03"}, {"OBR[1]-8": "20240601"}),
        ("20240601", "x", {"effectiveDateTime": "2024-06-01"}, {"OBR[1]-8": "x"}),
        ("x", "20240601", {}, {"OBR[1]-7": "x", "OBR[1]-8": "20240601"}),
        ('""', "20240601", {}, {"OBR[1]-8": "20240601"}),
    ],
)
def test_time_of_a_report(first: str, last: str, element: dict[str, Any], left: dict[str, str]) -> None:
    converted = lab(SPM, obr(f7=first, f8=last), obx())
    report = only(converted, "DiagnosticReport")
    assert {key: value for key, value in report.items() if key.startswith("effective")} == element
    assert residue(converted) == left


def test_a_time_of_issue_without_seconds_is_no_instant() -> None:
    converted = lab(SPM, obr(f22="202406011117"), obx())
    assert "issued" not in only(converted, "DiagnosticReport")
    assert places(converted, "time-imprecise") == ["OBR[1]-22"]
    assert residue(converted) == {"OBR[1]-22": "202406011117"}
    assert places(lab(SPM, obr(f22="00000000"), obx()), "bad-date") == ["OBR[1]-22"]


# -- comments ---------------------------------------------------------------------------------------------------------


def test_comments_stand_with_their_result_or_report() -> None:
    converted = lab(SPM, obr(), "NTE|1|L|溶血あり~乳びあり", "NTE|2|L|再採血", obx(), "NTE|1|L|再検済み")
    assert only(converted, "DiagnosticReport")["conclusion"] == "溶血あり\n乳びあり\n再採血"
    assert only(converted, "Observation")["note"] == [{"text": "再検済み"}]
    assert residue(converted) == {}


@pytest.mark.parametrize(
    "segments",
    [("NTE|1|L|迷子", SPM, obr(), obx()), (SPM, "NTE|1|L|迷子", obr(), obx()), (SPM, ORC, "NTE|1|L|迷子", obx())],
)
def test_a_comment_that_belongs_to_nothing_is_residue(segments: tuple[str, ...]) -> None:
    converted = lab(*segments)
    assert residue(converted)["NTE[1]-3"] == "迷子"
    assert places(converted, "comment-without-owner") == ["NTE[1]-3"]
    assert not any("conclusion" in report for report in every(converted, "DiagnosticReport"))


# -- profiles and times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "profile"),
    [
        ([obx(time="2024")], "JP_DiagnosticReport_LabResult"),
        ([obx(time="2024"), obx(code="12^ＡＳＴ^99X", time="2024")], "JP_DiagnosticReport_Common"),
        ([], "JP_DiagnosticReport_LabResult"),
    ],
)
def test_a_report_claims_the_laboratory_profile_only_when_all_its_results_do(results: list[str], profile: str) -> None:
    (claimed,) = only(lab(obr(), *results), "DiagnosticReport")["meta"]["profile"]
    assert claimed.endswith(f"/{profile}")


def test_a_local_test_without_spm_has_no_specimen_and_claims_no_laboratory_profile() -> None:
    converted = lab(obr(), obx(code="12^ＡＳＴ^99X", time="20240601"))
    assert every(converted, "Specimen") == []
    assert only(converted, "Observation")["meta"]["profile"][0].endswith("/JP_Observation_Common")


@pytest.mark.parametrize(
    ("spm", "obr7", "obx14", "expected"),
    [
        ("20240601", "20240602", "20240603", {"effectiveDateTime": "2024-06-03"}),
        ("20240601", "20240602", "", {"effectiveDateTime": "2024-06-01"}),
        ("20240601^20240602", "", "", {"effectivePeriod": {"start": "2024-06-01", "end": "2024-06-02"}}),
        ("", "20240602", "", {"effectiveDateTime": "2024-06-02"}),
        ("", "", "", {"effectiveDateTime": "2024-06-01T12:00:00+09:00"}),
    ],
)
def test_when_a_value_was_true(spm: str, obr7: str, obx14: str, expected: dict[str, Any]) -> None:
    converted = lab(f"SPM|1|S1|||||||||||||||{spm}", obr(f7=obr7), obx(time=obx14))
    made = only(converted, "Observation")
    assert {key: value for key, value in made.items() if key.startswith("effective")} == expected
    assert ("no-observation-time" in codes(converted)) == (spm == obr7 == obx14 == "")


def test_without_any_time_even_of_the_message_it_is_unknown() -> None:
    converted = read("OML-11", SPM[:10], obr(), obx(), order="5000", head=msh("OML-11", time=""))
    made = only(converted, "Observation")
    assert made["_effectiveDateTime"]["extension"][0]["valueCode"] == "unknown"
    assert "no-observation-time" in codes(converted)


def test_preliminary_and_corrected_report_have_the_same_ids() -> None:
    before = lab(SPM, obr(), obx(status="P"))
    after = lab(SPM, obr(), obx("14", status="C"), obx(code="3C015000002327101^ＣＲＥ^JC10"))
    for kind in ("Observation", "DiagnosticReport", "Specimen"):
        assert every(before, kind)[0]["id"] == every(after, kind)[0]["id"]


def test_of_the_order_only_the_facility_is_told() -> None:
    orc = "ORC|SC|1|2||CM||||20240601|110^医師||110^医師|06||20240601||06^内科^HL70069||||架空病院"
    converted = lab(SPM, obr(), orc, obx())
    assert only(converted, "Organization")["name"] == "架空病院"
    assert every(converted, "Practitioner") == []
    assert {f"ORC[1]-{n}" for n in (1, 2, 3, 5, 9, 10, 12, 13, 15, 17)} <= unmapped(converted)
    assert "ORC[1]-21" in sources(converted)
    assert residue(converted) == {}


@pytest.mark.parametrize(
    ("control", "time", "issued"),
    [
        ("SC", "20240601101112", "2024-06-01T10:11:12+09:00"),
        ("SC", "202406011011", None),
        ("NW", "20240601101112", None),
    ],
)
def test_a_result_without_time_of_issue_was_issued_when_its_status_changed(
    control: str, time: str, issued: str | None
) -> None:
    report = only(lab(SPM, obr(), f"ORC|{control}|5000|||||||{time}", obx()), "DiagnosticReport")
    assert report.get("issued") == issued
    both = lab(SPM, obr(f22="20240601111213"), f"ORC|{control}|5000|||||||{time}", obx())
    assert only(both, "DiagnosticReport")["issued"] == "2024-06-01T11:12:13+09:00"


@pytest.mark.parametrize("control", ["CA", "DC", "OC", "CR"])
def test_a_cancelled_result_stays_with_the_status_that_says_so(control: str) -> None:
    converted = lab(SPM, obr(), f"ORC|{control}|5000", obx(), obx(code="3C^ＣＲＥ^99X", status="X"))
    assert only(converted, "DiagnosticReport")["status"] == "entered-in-error"
    assert [made["status"] for made in every(converted, "Observation")] == ["entered-in-error", "cancelled"]
    assert only(lab(SPM, obr(), f"ORC|{control}|5000"), "DiagnosticReport")["status"] == "cancelled"


def test_the_section_of_the_laboratory_is_a_category() -> None:
    converted = lab(SPM, obr(f24="HM"), obx())
    first, second = only(converted, "DiagnosticReport")["category"]
    assert first["coding"][0]["code"] == "LP29693-6"
    assert second["coding"] == [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "HM"}]
    converted = lab(SPM, obr(f24="血液"), obx())
    assert places(converted, "code-label-mismatch") == ["OBR[1]-24"]


def test_segments_outside_the_grammar_are_residue() -> None:
    converted = lab(SPM, obr(), "TQ1|1||x", obx(), "ZXX|1|値")
    assert residue(converted) == {"TQ1[1]-1": "1", "TQ1[1]-3": "x", "ZXX[1]-1": "1", "ZXX[1]-2": "値"}


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_long_report_costs_what_its_length_says() -> None:
    """Four times the results in well under twelve times the time: nothing is squared."""

    def seconds(count: int) -> float:
        segments = [obx(code=f"T{n}^検査^99X") for n in range(count)]
        return min(timeit.repeat(lambda: read("OML-11", SPM, obr(), *segments, explain=False), number=1, repeat=2))

    assert seconds(10_000) < 12 * seconds(2_500)
