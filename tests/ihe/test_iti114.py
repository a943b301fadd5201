"""ITI-114: the topics of DSUBm, as Basic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ihe._dsubm import TOPICS
from tests.dsubm_parts import MANY, TOPICS_AT, Dsubm, notifying


@pytest.fixture
def dsubm(tmp_path: Path) -> Iterator[Dsubm]:
    with notifying(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5),
        ("code=SubscriptionTopic", 5),
        ("code=other", 0),
        ("resource=http://hl7.org/fhir/StructureDefinition/DocumentReference", 2),
        ("status=active", 5),
        (f"url={TOPICS_AT}{MANY}", 1),
        (f"derived-or-self={TOPICS_AT}{MANY}", 1),
        (f"_id={MANY}", 1),
    ],
)
def test_search(dsubm: Dsubm, query: str, count: int) -> None:
    assert len(dsubm.node.matches("/Basic", query)) == count
    assert dsubm.node.audits()[-1][1] == "ITI-114"


def test_read(dsubm: Dsubm) -> None:
    for topic in TOPICS.values():
        found = dsubm.node.json(f"/Basic/{topic.id}")
        named = [
            part["valueString"]
            for one in found["extension"]
            for part in one.get("extension", ())
            if part["url"] == "filterParameter"
        ]
        assert tuple(named) == topic.filters
    assert dsubm.node.ask("/Basic/other").status == 404
