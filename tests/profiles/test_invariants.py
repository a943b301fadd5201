from typing import Any

import pytest

from gateway.profiles.invariants import INVARIANTS, UCUM

V = "http://terminology.hl7.org/CodeSystem/"
IN_ERROR = {"coding": [{"system": V + "condition-ver-status", "code": "entered-in-error"}]}
ALLERGY_IN_ERROR = {"coding": [{"system": V + "allergyintolerance-verification", "code": "entered-in-error"}]}
RESOLVED = {"coding": [{"system": V + "condition-clinical", "code": "resolved"}]}
PROBLEM = [{"coding": [{"system": V + "condition-category", "code": "problem-list-item"}]}]
GLUCOSE = {"coding": [{"system": "urn:x", "code": "g"}]}
RESOURCE = {"resourceType": "Patient"}

# key: (holds, is broken)
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "age-1": ({"value": 3, "system": UCUM, "code": "a"}, {"value": 0, "system": UCUM, "code": "a"}),
    "ait-1": ({"clinicalStatus": {}}, {}),
    "ait-2": ({"verificationStatus": ALLERGY_IN_ERROR}, {"verificationStatus": ALLERGY_IN_ERROR, "clinicalStatus": {}}),
    "app-1": ({"actor": {}}, {"status": "accepted"}),
    "app-2": ({"start": "x", "end": "y"}, {"start": "x"}),
    "apr-1": ({"actor": {}}, {}),
    "att-1": ({"data": "x", "contentType": "text/plain"}, {"data": "x"}),
    "bdl-1": ({"type": "searchset", "total": 1}, {"type": "collection", "total": 1}),
    "bdl-2": ({"type": "searchset", "entry": [{"search": {}}]}, {"type": "collection", "entry": [{"search": {}}]}),
    "bdl-3": ({"type": "batch", "entry": [{"request": {}}]}, {"type": "batch", "entry": [{}]}),
    "bdl-4": ({"type": "collection", "entry": [{}]}, {"type": "collection", "entry": [{"response": {}}]}),
    "bdl-5": ({"resource": {}}, {"fullUrl": "x"}),
    "bdl-7": ({"entry": [{"fullUrl": "a"}, {"fullUrl": "b"}]}, {"entry": [{"fullUrl": "a"}, {"fullUrl": "a"}]}),
    "bdl-8": ({"fullUrl": "http://x/Patient/1"}, {"fullUrl": "http://x/Patient/1/_history/1"}),
    "bdl-9": ({"type": "document", "identifier": {"system": "x", "value": "y"}}, {"type": "document"}),
    "bdl-10": ({"type": "document", "timestamp": "x"}, {"type": "document"}),
    "bdl-11": (
        {"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]},
        {"type": "document", "entry": [{"resource": RESOURCE}]},
    ),
    "bdl-12": (
        {"type": "message", "entry": [{"resource": {"resourceType": "MessageHeader"}}]},
        {"type": "message"},
    ),
    "cmp-1": ({"entry": []}, {"title": "x"}),
    "cmp-2": ({"entry": []}, {"entry": [], "emptyReason": {}}),
    "cnt-3": ({"value": 2, "system": UCUM, "code": "1"}, {"value": 2, "system": UCUM, "code": "d"}),
    "con-1": ({"summary": {}}, {"type": {}}),
    "con-2": ({"code": []}, {}),
    "con-3": ({"category": PROBLEM, "clinicalStatus": {}}, {"category": PROBLEM}),
    "con-4": ({"abatementString": "x", "clinicalStatus": RESOLVED}, {"abatementString": "x"}),
    "con-5": ({"verificationStatus": IN_ERROR}, {"verificationStatus": IN_ERROR, "clinicalStatus": {}}),
    "cpl-3": ({"detail": {}}, {"detail": {}, "reference": {}}),
    "cpt-2": ({"value": "x", "system": "phone"}, {"value": "x"}),
    "dis-1": ({"value": 1, "code": "km"}, {"value": 1}),
    "drt-1": ({"value": 1, "system": UCUM, "code": "d"}, {"value": 1, "code": "d"}),
    "fhs-1": ({"ageAge": {}}, {"ageAge": {}, "bornDate": "1970"}),
    "fhs-2": ({"ageAge": {}, "estimatedAge": True}, {"estimatedAge": True}),
    "grp-1": ({"member": [], "actual": True}, {"member": [], "actual": False}),
    "imm-1": ({"reference": "x"}, {}),
    "inv-1": ({"valueString": "x"}, {"name": "x"}),
    "jp-inv-local-prescriptionid": (
        {"system": "urn:oid:1.2.392.100495.20.3.11.11312345678"},
        {"system": "urn:oid:1.2.392.100495.20.3.11.14912345678"},
    ),
    "lst-1": ({"entry": []}, {"entry": [], "emptyReason": {}}),
    "mad-1": ({"rateRatio": {}}, {"text": "x"}),
    "mdd-1": (
        {"whenPrepared": "2024-05-01", "whenHandedOver": "2024-05-01T10:00:00+09:00"},
        {"whenPrepared": "2024-05-02", "whenHandedOver": "2024-05-01T10:00:00+09:00"},
    ),
    "mqty-1": ({"value": 1, "system": "urn:iso:std:iso:4217"}, {"value": 1, "system": UCUM}),
    "obs-3": ({"low": {}}, {"type": {}}),
    "obs-6": ({"dataAbsentReason": {}}, {"dataAbsentReason": {}, "valueString": "x"}),
    "obs-7": (
        {"code": GLUCOSE, "valueString": "x", "component": [{"code": {"text": "x"}}]},
        {"code": GLUCOSE, "valueString": "x", "component": [{"code": GLUCOSE}]},
    ),
    "org-1": ({"name": "x"}, {"active": True}),
    "org-2": ({"use": "work"}, {"use": "home"}),
    "org-3": ({"use": "work"}, {"use": "home"}),
    "pat-1": ({"name": {}}, {"gender": "male"}),
    "per-1": (
        {"start": "2024-05-01T10:00:00+09:00", "end": "2024-05-01T01:30:00Z"},
        {"start": "2024-05-01T10:00:00+09:00", "end": "2024-05-01T00:30:00Z"},
    ),
    "ppc-1": ({"policyRule": {}}, {"status": "active"}),
    "prr-1": ({"orderDetail": [], "code": {}}, {"orderDetail": []}),
    "qty-3": ({"code": "d", "system": UCUM}, {"code": "d"}),
    "rat-1": ({"numerator": {}, "denominator": {}}, {"numerator": {}}),
    "rng-2": ({"low": {"value": 1}, "high": {"value": 1}}, {"low": {"value": 2}, "high": {"value": 1}}),
    "sev-1": ({"name": "x"}, {"name": "x", "query": "x"}),
    "sqty-1": ({"value": 1}, {"value": 1, "comparator": "<"}),
    "tim-1": ({"duration": 1, "durationUnit": "d"}, {"duration": 1}),
    "tim-2": ({"period": 1, "periodUnit": "d"}, {"period": 1}),
    "tim-4": ({"duration": 0}, {"duration": -1}),
    "tim-5": ({"period": 0}, {"period": -1}),
    "tim-6": ({"periodMax": 1, "period": 1}, {"periodMax": 1}),
    "tim-7": ({"durationMax": 1, "duration": 1}, {"durationMax": 1}),
    "tim-8": ({"countMax": 1, "count": 1}, {"countMax": 1}),
    "tim-9": ({"offset": 1, "when": ["AC"]}, {"offset": 1, "when": ["C"]}),
    "tim-10": ({"when": []}, {"when": [], "timeOfDay": []}),
    "txt-2": ({"div": "<div>a</div>"}, {"div": "<div> <p/> </div>"}),
    "vs-2": ({"valueString": "x"}, {"status": "final"}),
    "vs-3": ({"dataAbsentReason": {}}, {"code": {}}),
}


def test_every_invariant_is_tried() -> None:
    assert set(CASES) == set(INVARIANTS)


@pytest.mark.parametrize("key", CASES)
def test_holds_and_breaks(key: str) -> None:
    good, bad = CASES[key]
    assert INVARIANTS[key].holds(good)
    assert not INVARIANTS[key].holds(bad)
    assert INVARIANTS[key].text


def test_times_of_unlike_precision_are_not_judged() -> None:
    holds = INVARIANTS["per-1"].holds
    assert holds({"start": "2024-05-01", "end": "2024-05"})
    assert holds({"start": "2024-05-01T10:00:00Z", "end": "2024-05-01"})
    assert not holds({"start": "2024-06", "end": "2024-05-31"})
