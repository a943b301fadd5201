"""What the generator says must come out is what the translator makes of it: two counts made by different code."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.model.identity import Authority
from gateway.sandbox import demo, tables
from gateway.sandbox.facilities import TOKYO
from gateway.sandbox.people import MEDICAL_ID_NAMESPACE, MEDICAL_ID_OID
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import Deviations
from gateway.translate import jami_usage
from gateway.translate.context import Facilities
from gateway.translate.sources import read_file

FACILITIES = Facilities(
    [
        *(
            Authority(site.facility.oid, site.facility.namespace, institution=site.facility.institution)
            for site in demo.SITES
        ),
        Authority(MEDICAL_ID_OID, MEDICAL_ID_NAMESPACE, kind="medical-id"),
    ]
)


@pytest.mark.parametrize("deviations", [Deviations(), Deviations(lf=0.3, crlf=0.3, utf8=0.3, shift_jis=0.3)])
def test_each_segment_of_the_current_view_is_one_resource(tmp_path: Path, deviations: Deviations) -> None:
    root = tmp_path / TOKYO.institution
    manifest = generate(root, seed=21, patients=8, files=240, deviations=deviations)
    ids: set[tuple[str, str]] = set()
    found: Counter[str] = Counter()
    admissions: set[tuple[str, str]] = set()
    for path in sorted(path for path in root.rglob("*_1") if path.is_file()):
        for converted in read_file(path.read_bytes(), str(path), FACILITIES):
            assert converted.error is None
            translated = converted.translated
            assert [issue for issue in translated.issues if issue.severity in {"error", "fatal"}] == []
            for resource in translated.resources:
                identity = (resource["resourceType"], resource["id"])
                found[resource["resourceType"]] += identity not in ids
                ids.add(identity)
            admissions |= {(e.patient, e.occurred_at) for e in translated.stay_events if e.data_type == "ADT-22"}

    expected = Counter(manifest.expected)
    assert len(admissions) == expected.pop("Encounter/IMP") > 0
    assert found["Encounter"] == expected.pop("Encounter/AMB") > 0
    assert found["Observation"] == expected.pop("Observation/laboratory") + expected.pop("Observation/exam")
    assert {name: found[name] for name in expected} == dict(expected)


def test_words_of_each_usage_say_what_its_code_says() -> None:
    for usage in (usage for group in tables.usages().values() for usage in group):
        decoded = jami_usage.decode(usage.code)
        assert decoded is not None and not decoded.problems
        assert jami_usage.agrees(decoded, usage.words) is True
        assert (decoded.times_per_day or 0) == usage.times
