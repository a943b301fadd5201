"""gateway/translate/examination.py: the groups of an examination message, and which of them are one order."""

from typing import Any

import pytest

from gateway.model.identity import Authority
from gateway.translate.context import Context, Facilities
from gateway.translate.examination import combine, examination_item, grouped, orders, span
from tests.translate.goldens import parse
from tests.translate.messages import HOSPITAL, er7


def shape(*segments: str) -> list[list[str]]:
    """Names of the segments in each group."""
    groups, _ = grouped(parse(er7("OMI^Z23", *segments)))
    return [
        [s.name for s in (g.orc, *g.timings, g.obr, *g.notes) if s is not None]
        + ["OBX"] * len(g.results)
        + [f"ZE1+{len(one.results)}+{len(one.exposures)}+{len(one.notes)}" for one in g.performed]
        + ["IPC"] * len(g.studies)
        for g in groups
    ]


def rest(*segments: str) -> list[str]:
    return [segment.name for segment in grouped(parse(er7("OMI^Z23", *segments)))[1]]


def a_context() -> Context:
    return Context(HOSPITAL, Facilities([Authority("1.2.3")]), "OMG-01")


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (("ORC|NW|1", "TQ1|1", "OBR||1", "OBX|1"), [["ORC", "TQ1", "OBR", "OBX"]]),
        (("ORC|NW|1", "OBR||1", "ORC|PA|1", "OBR||1"), [["ORC", "OBR"], ["ORC", "OBR"]]),
        (("ORC|NW|1", "OBR||1", "OBR||2"), [["ORC", "OBR"], ["OBR"]]),
        (("OBR||1", "ORC|NW|1", "OBR||2", "ORC|NW|2"), [["ORC", "OBR"], ["ORC", "OBR"]]),
        (("OBR||1", "ORC|NW|2", "OBR||2"), [["OBR"], ["ORC", "OBR"]]),
        (("OBX|1", "OBX|2"), [["OBX", "OBX"]]),
        (
            (
                "ORC|NW|1",
                "OBR||1",
                "NTE|1",
                "OBX|1",
                "NTE|1",
                "ZE1|1",
                "NTE|1",
                "OBX|1",
                "NTE|1",
                "ZE2|1",
                "IPC|1",
                "OBX|1",
            ),
            [["ORC", "OBR", "NTE", "OBX", "OBX", "ZE1+1+1+1", "IPC"]],
        ),
    ],
)
def test_segments_belong_to_the_order_before_them(segments: tuple[str, ...], expected: list[list[str]]) -> None:
    assert shape(*segments) == expected


def test_what_has_no_place_is_left() -> None:
    assert rest("TQ1|1", "NTE|1", "ZE2|1", "ORC|NW|1", "ZE2|1", "ZZZ|1") == ["TQ1", "NTE", "ZE2", "ZE2", "ZZZ"]


def numbers(*segments: str) -> list[tuple[str, int]]:
    groups, _ = grouped(parse(er7("OMG^O19", *segments)))
    return [(order.number, len(order.groups)) for order in orders(groups)]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (("ORC|NW|1", "OBR||1||A", "ORC|PA|1", "OBR||1||A"), [("1", 2)]),
        (("ORC|NW|1", "OBR||1||A", "ORC|PA|1", "OBR||1||B"), [("1", 2)]),
        (("ORC|PA|1", "OBR||1||A", "ORC|NW|1", "OBR||1||B"), [("1", 2)]),
        (("ORC|NW|1", "OBR||1||A", "ORC|NW|1", "OBR||1||B"), [("1", 1), ("1", 1)]),
        (("ORC|NW|1", "OBR||1||A", "ORC|CH|1||||||9", "OBR||1||A"), [("1", 1), ("1", 1)]),
        (("ORC|NW", "OBR||||A", "ORC|NW", "OBR||||A"), [("", 1), ("", 1)]),
        (("ORC|NW||F1", "OBR||||A", "ORC|PA||F1", "OBR||||A"), [("F1", 2)]),
    ],
)
def test_which_groups_are_one_order(segments: tuple[str, ...], expected: list[tuple[str, int]]) -> None:
    assert numbers(*segments) == expected


def test_parents_are_placer_numbers_before_filler_numbers_and_never_the_order_itself() -> None:
    message = parse(er7("OMG^O19", "ORC|CH|1||||||9&NS^8", "OBR||1" + "|" * 27 + "^7", "ORC|CH|2||||||2", "OBR||2"))
    first, second = grouped(message)[0]
    assert first.parents == ["9", "7"] and second.parents == []


def test_a_contradiction_is_residue_and_lists_are_joined() -> None:
    context, (segment,) = a_context(), parse(er7("OMG^O19", "ORC|NW|1|||||||20240101")).all("ORC")
    body: dict[str, Any] = {"authoredOn": "2024-02-01", "note": [{"text": "a"}], "occurrenceDateTime": "2024"}
    extra = {"authoredOn": "2024-01-01", "note": [{"text": "a"}, {"text": "b"}], "occurrencePeriod": {"start": "2025"}}
    combine(body, extra, segment, {"authoredOn": (9,), "occurrence": (2,)}, context)
    assert body == {
        "authoredOn": "2024-02-01", "note": [{"text": "a"}, {"text": "b"}], "occurrenceDateTime": "2024",
    }  # fmt: skip
    assert [value for _, value in context.residue] == ["20240101", "1"]


def test_a_period_of_which_one_end_is_no_time() -> None:
    context, (segment,) = a_context(), parse(er7("OMI^Z23", "OBR|||||||20249999|20240602")).all("OBR")
    context.at = 7
    assert span("performed", segment[7], segment, 8, context) == {"performedPeriod": {"end": "2024-06-02"}}
    assert [value for _, value in context.residue] == ["20249999"]


def item(raw: str) -> tuple[dict[str, Any], list[str]]:
    context, (segment,) = a_context(), parse(er7("OMI^Z23", f"OBR||||{raw}")).all("OBR")
    context.at = 4
    return examination_item(raw, segment.fields, segment, context), [issue.code for issue in context.issues]


@pytest.mark.parametrize(
    ("raw", "codings", "text", "issues"),
    [
        ("9A110^心電図^JC10", ["9A110"], "心電図", []),
        ("9A100&IMP^所見^JC10", ["9A100", "9A100&IMP"], "所見", []),
        ("E1^心電図^99X^9A110^標準心電図^JC10", ["9A110", "E1"], "心電図", []),
        ("58368&7^R 振幅&V5^99MFR", ["58368&7"], "R 振幅 V5", []),
        ("9A11^心電図^JC10", ["9A11"], "心電図", ["code-label-mismatch"]),
        ("1000000000000000^Ｘ線^JJ1017", ["1000000000000000"], "Ｘ線", []),
        ("100000000000000^Ｘ線^JJ1017", ["100000000000000"], "Ｘ線", ["code-label-mismatch"]),
    ],
)
def test_items_of_examinations(raw: str, codings: list[str], text: str, issues: list[str]) -> None:
    concept, found = item(raw)
    assert ([c["code"] for c in concept["coding"]], concept["text"], found) == (codings, text, issues)
