"""mappings/issue-codes.csv lists what the program says: no code without a row, no row without a code."""

import re

import pytest

from gateway.translate.converted import QUARANTINE
from tests.issue_codes import PAGE, ROOT, SEVERITIES, Use, markdown, rows, uses, uses_in

LISTED = {row["code"]: row["severity"].split("|") for row in rows()}
USED = uses(ROOT / "gateway")


def test_every_code_of_the_program_is_listed() -> None:
    assert [use for use in USED if use.code not in LISTED] == []


def test_every_listed_code_is_used() -> None:
    assert sorted(LISTED.keys() - {use.code for use in USED}) == []


def test_every_severity_that_is_given_out_is_listed_with_its_code() -> None:
    assert [use for use in USED if use.severity and use.severity not in LISTED.get(use.code, ())] == []


def test_every_listed_severity_is_given_out() -> None:
    given = {(use.code, use.severity) for use in USED}
    only_counted = {use.code for use in USED} - {use.code for use in USED if use.severity}
    unused = [
        (code, severity)
        for code, severities in LISTED.items()
        for severity in severities
        if code not in only_counted and (code, severity) not in given
    ]
    assert unused == []


def test_the_reasons_of_quarantine_are_listed_as_errors() -> None:
    assert {code for code in QUARANTINE if "error" not in LISTED.get(code, ())} == set()


def test_the_table_is_in_order_and_complete() -> None:
    codes = [row["code"] for row in rows()]
    assert codes == sorted(set(codes), key=str.lower)
    for row in rows():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*|XDS[A-Za-z]+", row["code"])
        assert set(row["severity"].split("|")) <= set(SEVERITIES), row["code"]
        assert row["en"].endswith("."), row["code"]
        assert re.search(r"[ぁ-んァ-ヶ一-龠]", row["ja"]), row["code"]
        assert None not in row, f"{row['code']}: a comma too many"


def test_the_page_is_in_step_with_the_table() -> None:
    assert PAGE.read_text("utf-8") == markdown(), "write it again: python -m tests.issue_codes"


# -- the reader itself can fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('issues.append(Issue("warning", "a-b", where, text))', [("a-b", "warning")]),
        ('context.issue("error", "a-b", where, text)', [("a-b", "error")]),
        ('bad_field(raw, segment, context, "a-b", "words")', [("a-b", "warning")]),
        ('raise Rejected("a-b", "reason")', [("a-b", "error")]),
        ('raise Rejected("a-b", "reason", "fatal")', [("a-b", "fatal")]),
        ('Reject("", 0, "fatal", "a-b", "reason")', [("a-b", "fatal")]),
        ('LOST = (("information", "a-b", "some words"),)', [("a-b", "information")]),
        ('problems.append("a-b")', [("a-b", "warning")]),
        ('summary.issues["a-b"] += 2', [("a-b", "")]),
        ('def f(e):\n  code = "a-b" if e else "c"\n  return Issue("fatal", code, "x", "y")',
         [("a-b", "fatal"), ("c", "fatal")]),
        ('def f(e):\n  level = "error" if e else "warning"\n  return Issue(level, "a-b", "x", "y")',
         [("a-b", "error"), ("a-b", "warning")]),
        ('def f(found, context):\n  for code in found:\n    context.issue("warning", code, "x", "y")', []),
        ('def f(code):\n  return Issue("warning", code, "x", "y")', []),
        ("raise Rejected(reason.code, reason.text, reason.severity)", []),
        ("yield_ = Reject(*row)", []),
        ('line = {"severity": "error", "code": "a-b", "where": "", "text": ""}', [("a-b", "error")]),
        ('issue = {"severity": "error", "code": "invalid", "diagnostics": where}', []),
        ('EVENT = ("110112", "E", "a b")', []),
    ],
)  # fmt: skip
def test_the_reader_sees_every_way_a_code_is_given_out(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(use.code, use.severity) for use in uses_in(source, "gateway/x.py")] == expected


def test_findings_about_peers_count_only_in_ihe() -> None:
    source = 'findings.append(Finding("a-b", "words"))'
    assert uses_in(source, "gateway/ihe/x.py") == [Use("a-b", "warning", "gateway/ihe/x.py:1")]
    assert uses_in(source, "gateway/profiles/x.py") == []


@pytest.mark.parametrize(
    "source",
    [
        'Issue("warning", "a-" + kind, "x", "y")',
        'Issue("warning", f"a-{kind}", "x", "y")',
        'Issue("warning", CODE, "x", "y")',
    ],
)
def test_a_code_that_nobody_could_look_up_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"gateway/x\.py:1"):
        uses_in(source, "gateway/x.py")
