import pytest

from gateway.profiles.expansion import MAX_CODES, Terminology


def value_set(url: str, *include: dict[str, object], exclude: tuple[dict[str, object], ...] = ()) -> dict[str, object]:
    return {"resourceType": "ValueSet", "url": url, "compose": {"include": list(include), "exclude": list(exclude)}}


SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "urn:s",
    "content": "complete",
    "concept": [
        {"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]},
        {"code": "d", "property": [{"code": "subsumedBy", "valueCode": "b"}]},
        {"code": "e"},
    ],
}


@pytest.mark.parametrize(
    ("include", "codes"),
    [
        ({"system": "urn:s"}, set("abcde")),
        ({"system": "urn:s", "concept": [{"code": "x"}]}, {"x"}),
        ({"system": "urn:s", "filter": [{"property": "concept", "op": "is-a", "value": "b"}]}, set("bcd")),
        ({"system": "urn:s", "filter": [{"property": "concept", "op": "descendent-of", "value": "b"}]}, set("cd")),
        ({"system": "urn:s", "filter": [{"property": "concept", "op": "is-not-a", "value": "b"}]}, set("ae")),
        ({"system": "urn:s", "filter": [{"property": "status", "op": "=", "value": "x"}]}, None),
        ({"system": "urn:unknown"}, None),
    ],
)
def test_expansion(include: dict[str, object], codes: set[str] | None) -> None:
    found = Terminology([SYSTEM, value_set("urn:v", include)]).expand("urn:v|1.0")
    assert found is not None
    assert found.systems == {include["system"]: None if codes is None else frozenset(codes)}


def test_expansion_of_imports_and_exclusions() -> None:
    inner = value_set("urn:inner", {"system": "urn:s"})
    outer = value_set("urn:v", {"valueSet": ["urn:inner"]}, exclude=({"system": "urn:s", "concept": [{"code": "a"}]},))
    terminology = Terminology([SYSTEM, inner, outer, value_set("urn:w", {"valueSet": ["urn:missing"]})])
    found = terminology.expand("urn:v")
    assert found is not None
    assert found.systems == {"urn:s": frozenset("bcde")}
    assert terminology.expand("urn:w") is None
    assert Terminology([value_set("urn:v", {"valueSet": ["urn:v"]})]).expand("urn:v") is None, "a circle"


def test_a_large_system_counts_as_unpublished() -> None:
    many = {**SYSTEM, "concept": [{"code": str(n)} for n in range(MAX_CODES + 1)]}
    terminology = Terminology([many, value_set("urn:v", {"system": "urn:s"})])
    found = terminology.expand("urn:v")
    assert found is not None
    assert found.systems == {"urn:s": None}
    assert terminology.systems() == []
