import copy
import itertools
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.profiles.finding import Finding, operation_outcome
from gateway.profiles.validator import Validator

JP = "http://jpfhir.jp/fhir/core/StructureDefinition/"
Resource = dict[str, Any]
Rules = Callable[[Resource], set[str]]


def errors(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.severity == "error"]


def read(file: Path) -> Resource:
    resource: Resource = json.loads(file.read_text("utf-8"), parse_float=Decimal)
    return resource


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a resource, the root left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from paths(child, (*path, key))


def test_the_samples_of_jp_core(validator: Validator, shared: Path) -> None:
    """INDEX.md of the samples: no error in valid/, at least one in invalid/, each verdict confirmed by HL7's validator."""
    samples = shared / "samples" / "jp-core"
    verdicts = {f: bool(errors(validator.check(read(f)))) for f in sorted(samples.rglob("*.json"))}
    assert len(verdicts) == 40
    assert {f.name for f, rejected in verdicts.items() if rejected != (f.parent.name == "invalid")} == set()


def test_deleting_what_is_mandatory_is_an_error(validator: Validator, lab: Resource, patient: Resource) -> None:
    """Every element that R4 or the profile demands, at any depth, of both resources."""
    mandatory = [
        (lab, place)
        for place in [
            ("resourceType",), ("status",), ("category",), ("category", 0), ("category", 0, "coding"), ("code",),
            ("category", 0, "coding", 0, "system"), ("code", "coding"), ("code", "text"), ("subject",),
            ("effectiveDateTime",), ("specimen",),
        ]
    ] + [(patient, place) for place in [("identifier",), ("identifier", 0, "value"), ("name", 0, "extension", 0, "url")]]  # fmt: skip
    for resource, place in mandatory:
        less = copy.deepcopy(resource)
        parent = less
        for step in place[:-1]:
            parent = parent[step]
        del parent[place[-1]]
        assert errors(validator.check(less)), place


def test_deleting_any_mandatory_element_of_a_sample_is_an_error(validator: Validator, shared: Path) -> None:
    """The rule tables say which elements of each valid sample are mandatory; removing one has to be noticed."""
    tables = validator.tables
    tried = 0
    for file in sorted((shared / "samples" / "jp-core" / "valid").glob("*.json")):
        resource = read(file)
        base = {e.path for e in tables.type(resource["resourceType"]).elements if e.min}  # type: ignore[union-attr]
        for url in resource["meta"]["profile"]:
            base |= {e.path for e in tables.definition(url).elements if e.min and ":" not in e.path}  # type: ignore[union-attr]
        for name in (path for path in base if "." not in path):
            stem = name.removesuffix("[x]")
            kept = {k: v for k, v in resource.items() if k != name and not (stem != name and k.startswith(stem))}
            if kept != resource:
                tried += 1
                assert errors(validator.check(kept)), (file.name, name)
    assert tried > 50


def test_no_damage_makes_the_checks_fail(validator: Validator, lab: Resource, patient: Resource) -> None:
    """Any place, any JSON kind: findings, never an exception; and fast_ok agrees with check."""
    for resource in (lab, patient):
        for place, value in itertools.product(
            list(paths(resource)), (None, True, 5, "", "x", [], {}, ["x"], {"a": 1}, [[]])
        ):
            damaged = copy.deepcopy(resource)
            parent = damaged
            for step in place[:-1]:
                parent = parent[step]
            parent[place[-1]] = value
            found = validator.check(damaged)
            assert validator.fast_ok(damaged) is (found == [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "code", "coding", "system", "meta", "profile", "contained", "url", "entry", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["Observation", "Patient", "Bundle", "Parameters", "Condition"]),
    body=st.dictionaries(
        st.sampled_from(
            ["code", "contained", "entry", "parameter", "extension", "subject", "category", "meta", "type"]
        ),
        JSON,
        max_size=4,
    ),
)
def test_any_json_is_answered(kind: str, body: Resource) -> None:
    Validator.default().check({"resourceType": kind} | body)


def test_findings_hold_no_value_of_the_patient(validator: Validator, patient: Resource) -> None:
    secret = "山田花子9876"
    for place in list(paths(patient)):
        damaged = copy.deepcopy(patient)
        parent = damaged
        for step in place[:-1]:
            parent = parent[step]
        if place == ("meta", "profile", 0) or isinstance(parent, list):
            continue
        parent[secret] = secret
        parent[place[-1]] = {secret: secret}
        assert secret not in repr(validator.check(damaged))


def test_deep_nesting_costs_no_more_than_its_size(validator: Validator, lab: Resource) -> None:
    """An error at the bottom of sixty levels: work that doubled with each level would never end."""
    inner: Resource = {"url": "http://x.example/e", "valueNosuch": 1}
    for _ in range(60):
        inner = {"url": "http://x.example/e", "extension": [inner]}
    lab["extension"] = [inner]
    assert any(f.expression.count("extension") == 61 for f in errors(validator.check(lab)))


def test_nesting_without_end_is_refused(validator: Validator, lab: Resource) -> None:
    inner: Resource = {"url": "http://x.example/e", "valueString": "x"}
    for _ in range(5000):
        inner = {"url": "http://x.example/e", "extension": [inner]}
    lab["extension"] = [inner]
    assert [f.rule for f in validator.check(lab)] == ["depth"]


@pytest.mark.parametrize("root", [None, 5, "x", [], {}, {"resourceType": None}])
def test_what_is_no_resource(validator: Validator, root: Any) -> None:
    assert [f.expression for f in validator.check(root)] == ["Resource"]


def test_a_profile_by_url_and_an_unknown_one(validator: Validator, lab: Resource) -> None:
    del lab["meta"]
    assert validator.profile(lab) == []
    assert validator.profile(lab, JP + "JP_Observation_LabResult") == []
    assert validator.profile(lab, JP + "JP_Observation_LabResult|1.2.0") == []
    assert [f.rule for f in validator.profile(lab, JP + "JP_Patient")] == ["JP_Patient type"]
    assert [(f.severity, f.rule) for f in validator.profile(lab, "http://x.example/p")] == [
        ("warning", "unknown profile")
    ]
    assert validator.knows(JP + "JP_Patient|1.2.0")
    assert not validator.knows("http://x.example/p")


def test_profiles_of_contained_resources_count(validator: Validator, lab: Resource, rules: Rules) -> None:
    inner = {"resourceType": "Patient", "id": "p", "meta": {"profile": [JP + "JP_Patient"]}}
    lab |= {"contained": [inner], "subject": {"reference": "#p"}}
    assert rules(lab) == {"JP_Patient.identifier min 1"}


def test_a_bundle(validator: Validator, lab: Resource) -> None:
    uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
    bundle: Resource = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": uuid, "resource": lab}]}
    assert validator.bundle(bundle) == []
    del lab["specimen"]
    assert [(f.expression, f.rule) for f in validator.bundle(bundle)] == [
        ("Bundle.entry[0].resource", "JP_Observation_LabResult.specimen min 1")
    ]
    lab["status"] = "done"
    assert "Bundle.entry[0].resource.status" in {f.expression for f in validator.check(bundle)}


def test_the_full_url_of_entries(validator: Validator, patient: Resource) -> None:
    bundle: Resource = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}
    assert [f.severity for f in validator.check(bundle)] == ["error"]
    bundle["type"] = "batch"
    bundle["entry"][0]["request"] = {"method": "PUT", "url": "Patient/p1"}
    assert [f.severity for f in validator.check(bundle)] == ["warning"]


def test_operation_outcome(validator: Validator, lab: Resource) -> None:
    assert errors(validator.check(operation_outcome([]))) == []
    outcome = operation_outcome(validator.check(lab | {"status": "done"}))
    assert validator.check(outcome) == []
    assert outcome["issue"][0]["expression"] == ["Observation.status"]


def test_packages_at_run_time(validator: Validator, tmp_path: Path, lab: Resource) -> None:
    profile = {
        "resourceType": "StructureDefinition",
        "url": "http://x.example/strict",
        "type": "Observation",
        "kind": "resource",
        "derivation": "constraint",
        "baseDefinition": JP + "JP_Observation_LabResult",
        "differential": {
            "element": [
                {"id": "Observation", "path": "Observation"},
                {"id": "Observation.performer", "path": "Observation.performer", "min": 1},
            ]
        },
    }
    (tmp_path / "strict.json").write_text(json.dumps(profile), "utf-8")
    extended = Validator.from_environment({"MUSUBI_FHIR_PACKAGES": str(tmp_path)})
    assert [f.rule for f in extended.profile(lab, "http://x.example/strict")] == ["strict.performer min 1"]
    lab["performer"] = [{"reference": "Practitioner/x"}]
    assert extended.profile(lab, "http://x.example/strict") == []
    del lab["specimen"]
    rules = {f.rule for f in extended.profile(lab, "http://x.example/strict")}
    assert rules == {"JP_Observation_LabResult.specimen min 1"}, "a differential stands on its base"


def test_a_remembering_validator_says_the_same(validator: Validator, lab: Resource) -> None:
    """It may only skip what it has seen whole and sound: a part that is wrong is found every time."""
    quick = validator.remembering()
    for _ in range(3):
        assert quick.check(lab) == validator.check(lab) == []
    wrong = {**lab, "code": {"coding": [{"system": "not absolute", "code": "x"}], "text": "x"}}
    assert quick.check(wrong) == validator.check(wrong) != []
    assert quick.check(wrong) == validator.check(wrong) != []
    assert quick.check(lab) == []
