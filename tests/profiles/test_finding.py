from gateway.profiles.finding import Finding, below, error, findings, information, operation_outcome, warning


def test_paths_grow_from_the_inside() -> None:
    inner = below("coding[0]", below("system", [error("value", "x", "uri")]))
    assert [p.path for p in below("code", inner)] == ["code.coding[0].system"]
    assert findings("Observation", below("code", inner)) == [
        Finding("error", "value", "Observation.code.coding[0].system", "x", "uri")
    ]


def test_the_same_finding_is_told_once() -> None:
    twice = [warning("value", "x", "r"), warning("value", "x", "r"), information("value", "x", "r")]
    assert [f.severity for f in findings("Patient", twice)] == ["warning", "information"]


def test_an_outcome_keeps_the_order_and_is_never_empty() -> None:
    outcome = operation_outcome(findings("Patient", [error("value", "x", "a"), error("value", "x", "b")]))
    assert [issue["diagnostics"] for issue in outcome["issue"]] == ["a", "b"]
    assert len(operation_outcome([])["issue"]) == 1
