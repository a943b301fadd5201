"""gateway/translate/examination_result.py: OBX of examinations."""

import pytest

from gateway.translate.examination_result import is_report, report_profile
from tests.translate.goldens import parse
from tests.translate.messages import er7


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("18782-3^所見^LN", True),
        ("F1^所見^99X^18782-3^所見^LN", True),
        ("19005-8^診断^LN", True),
        ("18782-3^所見^99X", False),
        ("11502-2^x^LN", False),
        ("", False),
    ],
)
def test_loinc_alone_makes_a_finding(item: str, expected: bool) -> None:
    (obx,) = parse(er7("OMI^Z23", f"OBX|1|TX|{item}")).all("OBX")
    assert is_report(obx) is expected


def test_the_profile_of_a_finding_takes_no_other_code() -> None:
    (obx,) = parse(er7("OMI^Z23", "OBX|1|TX|18782-3^所見^LN")).all("OBX")
    loinc = {"system": "http://loinc.org", "code": "18782-3"}
    assert report_profile({"code": {"coding": [loinc]}}, obx) == "JP_Observation_Radiology_Findings"
    assert report_profile({"code": {"coding": [loinc, {"system": "x", "code": "F1"}]}}, obx) == ""
