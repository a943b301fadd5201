"""gateway/translate/ranks.py: who owns a resource that several messages mention."""

import pytest

from gateway.translate.ranks import rank


@pytest.mark.parametrize(
    ("resource_type", "data_type", "expected"),
    [
        ("Patient", "ADT-00", 0),
        ("Patient", "OML-11", 1),
        ("AllergyIntolerance", "ADT-00", 0),
        ("AllergyIntolerance", "ADT-61", 0),
        ("AllergyIntolerance", "OMP-01", 1),
        ("Coverage", "ADT-00", 0),
        ("Coverage", "PPR-01", 1),
        ("Observation", "OML-11", 0),
        ("Practitioner", "OMP-01", 0),
    ],
)
def test_the_owner_comes_before_a_mention(resource_type: str, data_type: str, expected: int) -> None:
    assert rank(resource_type, data_type) == expected
