"""FHIR Consent -> rules: what is understood, and what is refused rather than ignored."""

from typing import Any

import pytest

from gateway.errors import ConfigurationError, InvalidParameter
from gateway.model.consent import Consent, Rule, effective
from gateway.services.consent.forms import Filled, consent_of
from gateway.services.consent.provisions import Unenforceable, policy_rules, understand
from gateway.services.policy.tables import data_class

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def resolve(reference: Any) -> str:
    return str(reference.get("identifier", {}).get("value", "")).removeprefix("urn:oid:")


def consent(provision: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "resourceType": "Consent", "status": "active", "dateTime": "2026-04-01",
        "scope": {"coding": [{"code": "patient-privacy"}]},
    }  # fmt: skip
    return {**body, **({"provision": provision} if provision else {}), **more}


def rules(provision: dict[str, Any] | None = None, **more: Any) -> tuple[Rule, ...]:
    return understand(consent(provision, **more), resolve).rules


def organization(oid: str, role: str) -> dict[str, Any]:
    return {"role": {"coding": [{"code": role}]}, "reference": {"identifier": {"value": f"urn:oid:{oid}"}}}


def test_a_provision_is_a_rule_and_what_stands_below_an_exception() -> None:
    found = rules({
        "type": "permit", "purpose": [{"code": "TREAT"}, {"code": "BTG"}],
        "provision": [{"type": "deny", "actor": [organization("1.2.3", "CST")],
                       "dataPeriod": {"start": "2020", "end": "2021-06"}}],
    })  # fmt: skip
    assert set(found) == {
        Rule(0, False, "TREATMENT"), Rule(0, False, "BTG"),
        Rule(1, True, facility="1.2.3", data_from="2019-12-31T15:00:00.000Z", data_to="2021-06-30T15:00:00.000Z"),
    }  # fmt: skip


def test_all_that_limits_has_to_hold_and_any_of_what_is_listed() -> None:
    found = rules({
        "type": "deny", "actor": [organization("1.2", "IRCP"), organization("1.3", "PRCP"), organization("1.9", "CST")],
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
        "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
        "code": [{"coding": [{"system": "urn:x", "code": "c"}]}],
    })  # fmt: skip
    assert {(one.organization, one.facility, one.type, one.param, one.code, one.confidentiality) for one in found} == {
        ("1.2", "1.9", "Observation", "code", "c", "R"), ("1.3", "1.9", "Observation", "code", "c", "R"),
    }  # fmt: skip
    assert understand(consent({"type": "permit", "actor": [organization("1.2", "IRCP")]}), resolve).organizations == (
        "1.2",
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("https://profiles.ihe.net/ITI/PCF/Policy-basic-normal", {Rule(0, False, "TREATMENT")}),
        ("http://profiles.ihe.net/ITI/PCF/Policy-all-normal", {Rule(0, False)}),
        ("https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only", {Rule(0, True), Rule(1, False, "BTG")}),
        ("https://profiles.ihe.net/ITI/PCF/Policy-deny", {Rule(0, True)}),
    ],
)
def test_the_policies_of_pcf(policy: str, expected: set[Rule]) -> None:
    assert set(rules(policy=[{"uri": policy}])) == expected


def test_the_root_may_leave_its_type_to_the_policy() -> None:
    found = rules({"purpose": [{"code": "TREAT"}]}, policyRule={"coding": [{"code": "OPTOUT"}]})
    assert found == (Rule(0, True, "TREATMENT"),)
    assert rules(policyRule={"coding": [{"code": "OPTIN"}]}) == (Rule(0, False),)


def test_research_is_a_consent_of_its_own() -> None:
    found = understand(consent({"type": "deny"}, scope={"coding": [{"code": "research"}]}), resolve)
    assert (found.category, found.rules) == ("research", (Rule(0, True, "RESEARCH"),))


@pytest.mark.parametrize(
    "bad",
    [
        consent(), consent({"type": "permit"}, status="maybe"), consent({"type": "permit"}, dateTime=None),
        consent({"type": "permit"}, dateTime="yesterday"), consent({"type": "permit"}, scope={"coding": [{"code": "adr"}]}),
        consent({"type": "perhaps"}), consent({"type": "permit", "purpose": [{"code": "HMARKT"}]}),
        consent({"type": "permit", "actor": [organization("1.2", "DELEGATEE")]}),
        consent({"type": "permit", "actor": [{"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": "Group/g"}}]}),
        consent({"type": "permit", "class": [{"system": "urn:x", "code": "y"}]}),
        consent({"type": "permit", "data": [{"meaning": "related", "reference": {"reference": "Encounter/1"}}]}),
        consent({"type": "permit", "data": [{"meaning": "instance", "reference": {}}]}),
        consent({"type": "permit", "securityLabel": [{"system": "urn:x", "code": "PSY"}]}),
        consent({"type": "permit", "code": [{"coding": [{"system": "urn:x"}]}]}),
        consent({"type": "permit", "extension": []}), consent({"type": "permit", "period": "x"}),
        consent({"type": "deny", "provision": [{"type": "permit", "provision": [{"type": "deny", "provision": [
            {"type": "deny", "provision": [{"type": "permit"}]}]}]}]}),
        consent(policy=[{"uri": "https://example.org/unknown"}]),
    ],
)  # fmt: skip
def test_what_cannot_be_held_to_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        understand(bad, resolve)


def made(given: str, *given_rules: Rule, organizations: tuple[str, ...] = (), active: bool = True) -> Consent:
    return Consent(given, 1, active, "privacy", "", given, organizations, given_rules, b"")


def test_which_consents_count() -> None:
    yes, no = Rule(0, False), Rule(0, True)
    assert effective([made("1", yes), made("2", no)]) == (no,)
    assert effective([made("1", no), made("2", yes), made("3", no, active=False)]) == (yes,)
    assert set(effective([made("1", yes), made("1", no)])) == {yes, no}  # of one instant the stricter wins
    of_one = made("2", yes, organizations=("1.2",))
    assert set(effective([made("1", no), of_one])) == {no, Rule(1, False)}
    assert effective([made("3", no), of_one]) == (no,)  # a later word to all takes back the word to one
    wide = made("3", yes, organizations=("1.2", "1.3"))
    assert effective([of_one, wide]) == (Rule(1, False),)


FILLED = Filled({"system": "urn:oid:1.2", "value": "1"}, "2026-04-01")


def test_the_four_paper_forms() -> None:
    joined = consent_of(
        "participation", FILLED._replace(facilities=("1.5",), classes=("medication",), until="2027-03-31")
    )
    found = understand(joined, resolve)
    assert found.active and found.organizations == ("1.5",)
    assert {one.type for one in found.rules} == {
        "MedicationRequest", "MedicationDispense", "MedicationAdministration", "MedicationStatement", "DocumentReference"
    }  # fmt: skip
    changed = consent_of("change", FILLED._replace(signed="2026-05-01", data_from="2026-01-01"), joined)
    assert {one.organization for one in understand(changed, resolve).rules} == {""}
    closed = consent_of("excluded-facilities", FILLED._replace(excluded=("1.7",)), changed)
    assert any(one.deny and one.facility == "1.7" and one.level == 1 for one in understand(closed, resolve).rules)
    assert consent_of("excluded-facilities", FILLED._replace(excluded=("1.7",)), closed) == closed
    gone = consent_of("withdrawal", FILLED, closed)
    assert not understand(gone, resolve).active
    opted_out = understand(consent_of("research-opt-out", FILLED), resolve)
    assert opted_out.rules == (Rule(0, True, "RESEARCH"),)
    with pytest.raises(InvalidParameter):
        consent_of("withdrawal", FILLED)
    with pytest.raises(InvalidParameter):
        consent_of("participation", FILLED._replace(classes=("gossip",)))


def test_words_nobody_knows() -> None:
    assert policy_rules("1.2.3") == ()
    with pytest.raises(ConfigurationError):
        data_class("gossip", Rule(0, True))
    assert {one.type for one in data_class("problem", Rule(0, True))} == {"Condition", "DocumentReference"}
    assert issubclass(Unenforceable, InvalidParameter) and REASON
