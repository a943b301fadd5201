"""Query strings -> plans, and every way a query can be wrong."""

import pytest

from gateway.errors import GatewayError, InvalidParameter
from gateway.model.identity import Authority
from gateway.model.resource import (
    DateClause,
    PatientIdentifierClause,
    ReferenceClause,
    SearchPlan,
    StringClause,
    TokenClause,
)
from gateway.services.search import Search, SearchRules, plan, system_aliases

HOSPITAL = Authority("1.2.392.200119.99999.2", institution="1311234567")
RULES = SearchRules(
    base="http://localhost:8080/fhir", aliases=system_aliases((HOSPITAL,)), affinity_domain="1.2.392.200119.99999.1.1"
)
JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
JLAC10_OID = "urn:oid:1.2.392.200119.4.504"
JLAC10_1_1_2 = "http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationLabResultCode_CS"


def search(type_: str, *parameters: tuple[str, str], strict: bool = False) -> Search:
    return plan(type_, parameters, rules=RULES, cursor_key=b"key", caller="me", strict=strict)


def planned(type_: str, *parameters: tuple[str, str]) -> SearchPlan:
    return search(type_, *parameters).plan


def clause(type_: str, name: str, value: str) -> object:
    (only,) = planned(type_, (name, value)).clauses
    return only


def test_defaults() -> None:
    found = planned("Observation")
    assert (found.count, found.sort, found.total_only, found.with_total) == (50, ("-date",), False, True)
    assert planned("Organization").sort == ()


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("3C02", ((None, "3C02"),)),
        ("x|3C02", (("x", "3C02"),)),
        ("|3C02", (("", "3C02"),)),
        ("x|", (("x", None),)),
        ("a,x|b", ((None, "a"), ("x", "b"))),
        (r"a\,b", ((None, "a,b"),)),
        (r"x\|y|b", (("x|y", "b"),)),
        (r"a\\,b", ((None, "a\\"), (None, "b"))),
        (r"a\$b", ((None, "a$b"),)),
    ],
)
def test_tokens(value: str, values: object) -> None:
    assert clause("Observation", "code", value) == TokenClause("code", values)  # type: ignore[arg-type]


@pytest.mark.parametrize("system", [JLAC10, JLAC10_OID, JLAC10_1_1_2])
def test_either_name_of_a_system_finds_both(system: str) -> None:
    found = clause("Observation", "code", f"{system}|3C02")
    assert found == TokenClause("code", ((JLAC10_1_1_2, "3C02"), (JLAC10, "3C02"), (JLAC10_OID, "3C02")))


def test_a_plain_code_has_its_system_implied() -> None:
    system = "http://hl7.org/fhir/administrative-gender"
    assert clause("Patient", "gender", f"{system}|male") == TokenClause("gender", ((None, "male"),))
    assert clause("Patient", "gender", "http://other|male") == TokenClause("gender", ())


def test_token_modifiers() -> None:
    assert clause("Observation", "code:not", "a") == TokenClause("code", ((None, "a"),), negated=True)
    assert clause("Observation", "code:missing", "true") == TokenClause("code", ((None, None),), negated=True)
    assert clause("Observation", "code:missing", "false") == TokenClause("code", ((None, None),))


def test_strings_are_folded_unless_exact() -> None:
    assert clause("Patient", "name", "やまだ") == StringClause("name", ("ヤマダ",))
    assert clause("Patient", "name:contains", "ﾏﾀﾞ") == StringClause("name", ("マダ",), "contains")
    assert clause("Patient", "name:exact", "やまだ") == StringClause("name", ("やまだ",), "exact")


def test_dates() -> None:
    day = ("2024-04-30T15:00:00.000Z", "2024-05-01T15:00:00.000Z")
    assert clause("Observation", "date", "2024-05-01") == DateClause("date", (("eq", *day),))
    assert clause("MedicationRequest", "authoredon", "ge2024-05-01") == DateClause("date", (("ge", *day),))
    assert clause("DiagnosticReport", "issued", "lt2024-05-01") == DateClause("@issued", (("lt", *day),))
    assert clause("Observation", "_lastUpdated", "gt2024-05-01") == DateClause("_lastUpdated", (("gt", *day),))
    wide = ("2024-04-29T15:00:00.000Z", "2024-05-02T15:00:00.000Z")
    assert clause("Observation", "date", "ap2024-05-01") == DateClause("date", (("ap", *wide),))
    zone = clause("Observation", "date", "2024-05-01T09:00:00 09:00")  # `+` unescaped in a URL
    assert zone == DateClause("date", (("eq", "2024-05-01T00:00:00.000Z", "2024-05-01T00:00:01.000Z"),))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patient", "p1"),
        ("patient", "Patient/p1"),
        ("subject", "Patient/p1"),
        ("subject:Patient", "p1"),
        ("patient", "http://localhost:8080/fhir/Patient/p1"),
        ("patient", "Patient/p1/_history/3"),
    ],
)
def test_the_ways_to_name_a_patient(name: str, value: str) -> None:
    assert clause("Observation", name, value) == ReferenceClause("patient", ("p1",))


def test_another_server_s_patient_is_nobody_here() -> None:
    assert clause("Observation", "patient", "http://elsewhere/fhir/Patient/p1") == ReferenceClause("patient", ())
    assert clause("Observation", "subject", "Group/g1") == ReferenceClause("patient", ())


@pytest.mark.parametrize("name", ["patient.identifier", "patient:identifier", "subject:Patient.identifier"])
def test_a_patient_by_identifier(name: str) -> None:
    found = clause("Observation", name, "urn:oid:1.2.392.200119.99999.2|77")
    names = ("urn:oid:1.2.392.100495.20.3.51.11311234567", "urn:oid:1.2.392.200119.99999.2")
    assert found == PatientIdentifierClause(tuple((system, "77") for system in names))
    own = clause("Observation", name, "urn:oid:1.2.392.200119.99999.1.1|abc")
    assert own == PatientIdentifierClause((("", "abc"),))


def test_references_of_other_kinds() -> None:
    assert clause("Observation", "specimen", "Specimen/s") == ReferenceClause("specimen", ("Specimen/s",))
    found = clause("Observation", "encounter", "e")
    assert isinstance(found, ReferenceClause) and "Encounter/e" in found.values
    assert clause("Coverage", "payor:identifier", "s|v") == TokenClause("payor:identifier", (("s", "v"),))


def test_repeated_parameters_are_all_asked() -> None:
    found = planned("Observation", ("date", "ge2024"), ("date", "lt2025"), ("_id", "a,b"), ("_id", "b,c"))
    assert len(found.clauses) == 2 and found.ids == ("b",)


def test_results_parameters() -> None:
    found = planned("Observation", ("_count", "7"), ("_sort", "_lastUpdated"), ("_total", "none"))
    assert (found.count, found.sort, found.with_total) == (7, ("_lastUpdated",), False)
    assert planned("Observation", ("_count", "0")).total_only
    assert planned("Observation", ("_summary", "count")).total_only
    assert planned("Observation", ("_count", "99999")).count == 1000
    assert planned("Patient", ("_sort", "-birthdate")).sort == ("-date",)


def test_includes() -> None:
    found = planned("Observation", ("_include", "Observation:specimen"), ("_include", "Observation:subject:Patient"))
    assert found.includes == (("specimen", ""), ("patient", "Patient"))
    assert planned("Observation", ("_revinclude", "Provenance:target")).revincludes == (("Provenance", "target"),)
    assert planned("Patient", ("_revinclude", "Observation:patient")).revincludes == (("Observation", "patient"),)


def test_an_unknown_parameter_is_named_or_refused() -> None:
    found = search("Patient", ("gender", "male"), ("shoe-size", "42"), ("<b>", "1"))
    assert found.ignored == ("shoe-size", "(unprintable)")
    assert found.used == (("gender", "male"),)
    with pytest.raises(InvalidParameter, match="shoe-size"):
        search("Patient", ("shoe-size", "42"), strict=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("code:text", "Na"),
        ("code:in", "http://vs"),
        ("date:exact", "2024"),
        ("date", "yesterday"),
        ("date", "2024-13-01"),
        ("date", "xx2024"),
        ("date", "ge"),
        ("date", ""),
        ("code", ""),
        ("code", "a,,b"),
        ("code", "a|b|c"),
        ("code", "|"),
        ("code", ",".join(["a"] * 101)),
        ("code", "a" * 3000),
        ("code", "a\0b"),
        ("code:missing", "yes"),
        ("patient", "a/b/c"),
        ("patient", "x y"),
        ("patient.name", "Yamada"),
        ("patient.identifier", "77"),
        ("patient:Group.identifier", "s|77"),
        ("specimen.identifier", "s|77"),
        ("_id", "a b"),
        ("_id:not", "a"),
        ("_id", ",".join(["a"] * 101)),
        ("_lastUpdated:not", "2024"),
        ("_lastUpdated", "soon"),
        ("_count", "-1"),
        ("_count", "many"),
        ("_count", "٣"),
        ("_count:exact", "1"),
        ("_sort", "code"),
        ("_sort", "date;drop table resource"),
        ("_sort", "date,code"),
        ("_summary", "text"),
        ("_total", "maybe"),
        ("_include", "*"),
        ("_include", "Patient:organization"),
        ("_include", "Observation:code"),
        ("_include:iterate", "Observation:specimen"),
        ("_revinclude", "Provenance:target:Patient"),
        ("_cursor", "AAAA"),
    ],
)
def test_what_cannot_be_done_is_refused_without_repeating_it(name: str, value: str) -> None:
    with pytest.raises(GatewayError) as caught:
        search("Observation", (name, value))
    assert isinstance(caught.value, InvalidParameter)
    assert name.partition(":")[0].partition(".")[0] in str(caught.value)
    assert len(value) < 4 or value not in str(caught.value)


def test_control_parameters_stand_once() -> None:
    with pytest.raises(InvalidParameter):
        search("Observation", ("_count", "1"), ("_count", "2"))


def test_too_many_parameters() -> None:
    search("Observation", *[("code", "a")] * 50)
    with pytest.raises(InvalidParameter):
        search("Observation", *[("code", "a")] * 51)


def test_the_self_link_leaves_out_the_cursor_and_keeps_the_digest() -> None:
    plain, shown = search("Observation", ("code", "a")), search("Observation", ("code", "a"), ("_format", "json"))
    assert plain.digest == shown.digest
    assert search("Observation", ("code", "b")).digest != plain.digest
