"""A search on resources in memory finds what the same search finds in the store."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.codec import fhir
from gateway.errors import InvalidParameter
from gateway.model.caller import UNRESTRICTED
from gateway.services.federation import documentary
from gateway.services.federation.fitting import fits, rendered
from gateway.services.federation.question import Wanted
from gateway.services.search import SearchRules, plan
from gateway.storage.opening import Storage
from gateway.translate.document_reference import of_community
from tests.federation_parts import fed_node
from tests.xds_parts import HOME, document_pair

RULES = SearchRules()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with fed_node(tmp_path_factory.mktemp("node")) as parts:
        yield parts


@pytest.mark.parametrize(
    "query",
    [
        [],
        [("category", "laboratory")],
        [("category", "vital-signs")],
        [("code", "3D045000001906202")],
        [("code:not", "3D045000001906202")],
        [("code", "http://medis.or.jp/CodeSystem/master-JLAC10-17digits|3D045000001906202,nothing")],
        [("status", "final")],
        [("status:not", "final")],
        [("date", "ge2024-06-01")],
        [("date", "lt2024-06-01")],
        [("date", "2024-08")],
        [("date", "ne2024-08")],
        [("date", "gt2024-08-17T09:00:00+09:00"), ("date", "le2024-12-31")],
        [("date", "sa2024-08")],
        [("date", "eb2024-08")],
        [("date", "ap2024-08-17")],
        [("value-concept:missing", "true")],
        [("value-string:contains", "+")],
        [("identifier", "x|y")],
    ],
)
def test_as_the_store_answers(store: Storage, query: list[tuple[str, str]]) -> None:
    everything = [fhir.parse(one.body) for one in store.resources.export(UNRESTRICTED) if one.type == "Observation"]
    search = plan("Observation", [*query, ("_count", "1000")], rules=RULES, cursor_key=b"").plan
    wanted = {one.id for one in store.resources.search(search, UNRESTRICTED).rows}
    found = {one["id"] for one in everything if (made := rendered(one)) is not None and fits(search, made)}
    assert found == wanted and len(everything) > 50


@pytest.mark.parametrize("bad", [{}, {"resourceType": "Observation"}, {"resourceType": "Observation", "id": "1", "code": {"coding": 3}},
                                 {"resourceType": "Observation", "id": "1", "effectiveDateTime": "soon"}])  # fmt: skip
def test_what_cannot_be_read_fits_nothing(bad: dict[str, Any]) -> None:
    assert rendered(bad) is None


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ([], True),
        ([("status", "current")], True),
        ([("status", "superseded,entered-in-error")], False),
        ([("type", "11502-2")], True),
        ([("type", "http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes|11502-2")], False),
        ([("contenttype", "application/fhir+json")], True),
        ([("contenttype", "text/plain")], False),
        ([("period", "ge2011-12-20")], True),
        ([("period", "gt2011-12-21")], False),
        ([("date", "le2099"), ("_count", "3")], True),
        ([("security-label", "N")], True),
        ([("security-label", "R")], False),
    ],
)
def test_documents(query: list[tuple[str, str]], holds: bool) -> None:
    entry, _, _ = document_pair()
    condition = documentary.condition(Wanted("DocumentReference", tuple(query)))
    assert condition(of_community(entry, HOME)) is holds


@pytest.mark.parametrize("query", [("shoe", "1"), ("date", "soon"), ("date", "xx2020")])
def test_a_parameter_of_documents_that_nobody_knows_is_refused(query: tuple[str, str]) -> None:
    entry, _, _ = document_pair()
    with pytest.raises(InvalidParameter):
        documentary.condition(Wanted("DocumentReference", (query,)))(of_community(entry, HOME))
