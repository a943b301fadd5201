"""Demographics queries over a real index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import TooManyResults, UnknownAuthority
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName, PersonQuery
from tests.services.persons.parts import MEDICAL, SATO, TANAKA, A, B, C, World, a, b, c, med, moved, world
from tests.storage.making import DOMAIN

LIVING = moved(
    TANAKA,
    addresses=(PersonAddress("530-0001", "大阪府", "大阪市北区", "梅田1-1", "大阪府大阪市北区梅田1-1", "JP"),),
    telecoms=("+81-6-1111-2222",),
    mothers_maiden_name=PersonName(text="鈴木 梅"),
)
VAGUE = Demographics(names=(PersonName(text="髙橋　さくら", kind="kanji"),), birth_date="1984", sex="F")


@pytest.fixture(scope="module")
def w(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("search")) as made:
        made.feed("add", a("1"), med("M1"), known=SATO)
        made.feed("add", b("9"), med("M1"), known=moved(SATO, names=(PersonName("サトー", "花子", "", "kana"),)))
        made.feed("add", b("5"), known=LIVING)
        made.feed("add", c("7"), known=VAGUE)
        yield made


def found(w: World, scope: Scope = UNRESTRICTED, **query: object) -> list[str]:
    page = w.persons.search(PersonQuery(**query), scope)  # type: ignore[arg-type]
    assert page.total == len(page.records)
    return sorted(f"{one.id.value}@{one.id.authority.rpartition('.')[2]}" for one in page.records)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"family": ("佐藤",)}, ["1@21"]),
        ({"family": ("さとう",)}, ["1@21"]),
        ({"family": ("サト*",)}, ["1@21", "9@22"]),
        ({"family": ("サトウ",), "given": ("花子",)}, ["1@21"]),
        ({"given": ("花子",)}, ["1@21", "9@22"]),
        ({"given": ("花",)}, []),
        ({"family": ("高橋",)}, ["7@23"]),
        ({"name": ("髙橋さくら",)}, ["7@23"]),
        ({"name": ("一郎",), "sex": "M"}, ["5@22"]),
        ({"name": ("一郎",), "sex": "F"}, []),
        ({"birth_date": "19800502"}, ["1@21", "9@22"]),
        ({"birth_date": "1980"}, ["1@21", "9@22"]),
        ({"birth_date": "198405"}, []),
        ({"birth_date": "1984"}, ["7@23"]),
        ({"birth_range": ("19550101", "1980")}, ["1@21", "5@22", "9@22"]),
        ({"birth_range": ("", "1960")}, ["5@22"]),
        ({"birth_range": ("1984", "")}, ["7@23"]),
        ({"telecom": "06-1111-2222"}, ["5@22"]),
        ({"postal_code": "5300001"}, ["5@22"]),
        ({"postal_code": "530*"}, ["5@22"]),
        ({"state": "大阪府", "city": "大阪市北区"}, ["5@22"]),
        ({"city": "大阪*"}, ["5@22"]),
        ({"address": "大阪府*"}, ["5@22"]),
        ({"country": "JP"}, ["5@22"]),
        ({"mothers_maiden_name": "鈴木"}, ["5@22"]),
        ({"sex": "F"}, ["1@21", "7@23", "9@22"]),
        ({"active": True}, ["1@21", "5@22", "7@23", "9@22"]),
        ({"active": False}, []),
        ({"ids": (PatientId("1", A),)}, ["1@21"]),
        ({"ids": (PatientId("", B),)}, ["5@22", "9@22"]),
        ({"ids": (PatientId("M1", MEDICAL),)}, ["1@21", "9@22"]),
        ({"ids": (PatientId("77", A),)}, []),
        ({"ids": (PatientId("77", A), PatientId("5", B))}, ["5@22"]),
        ({"ids": (PatientId("1", A),), "family": ("田中",)}, []),
        ({"family": ("佐藤",), "exact": True}, ["1@21"]),
        ({"family": ("さとう",), "exact": True}, []),
        ({"family": ("佐藤",), "birth_date": "19800502", "telecom": "0312345678"}, ["1@21"]),
        ({"family": ("100%_'\"",)}, []),
        ({"family": ("*",)}, ["1@21", "5@22", "7@23", "9@22"]),
    ],
)
def test_everything_given_has_to_hold(w: World, query: dict[str, object], expected: list[str]) -> None:
    assert found(w, **query) == expected


def test_asked_domains_answer_with_the_ids_there(w: World) -> None:
    assert found(w, family=("佐藤",), domains=(B,)) == ["9@22"]
    assert found(w, family=("佐藤",), domains=(A, B, C)) == ["1@21", "9@22"]
    assert found(w, family=("佐藤",), domains=(MEDICAL,)) == ["M1@3"]
    assert found(w, family=("佐藤",), domains=(C,)) == []
    (one,) = w.persons.search(PersonQuery(family=("佐藤",), domains=(DOMAIN,)), UNRESTRICTED).records
    assert one.id == PatientId(one.enterprise_id, DOMAIN)
    with pytest.raises(UnknownAuthority) as unknown:
        found(w, family=("佐藤",), domains=(B, "1.9.9"))
    assert unknown.value.bad == (1,)
    with pytest.raises(UnknownAuthority) as unknown:
        found(w, ids=(PatientId("1", "1.9.9"),))
    assert unknown.value.at == 0


def test_pages_are_parts_of_one_order(w: World) -> None:
    whole = w.persons.search(PersonQuery(sex="F"), UNRESTRICTED)
    pages = [w.persons.search(PersonQuery(sex="F", limit=1, offset=n), UNRESTRICTED) for n in range(4)]
    assert [page.records for page in pages] == [*((one,) for one in whole.records), ()]
    assert {page.total for page in pages} == {3}


def test_a_scope_takes_part_in_the_question(w: World) -> None:
    assert found(w, Scope(None, None, frozenset({B})), given=("花子",)) == ["1@21"]
    assert found(w, Scope(frozenset(), None), given=("花子",)) == []
    (one,) = w.persons.search(PersonQuery(family=("佐藤",)), Scope(None, None, frozenset({B}))).records
    assert all(id_.authority != B for id_ in one.other_ids)


def test_a_question_that_fits_too_many_is_refused(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for number in range(5):
            w.feed("add", a(str(number)))
        few = type(w.persons)(
            w.persons.index, w.persons.keeping, w.persons.clock, w.persons.authorities, DOMAIN, max_found=4, max_page=3
        )
        with pytest.raises(TooManyResults):
            few.search(PersonQuery(family=("佐藤",)), UNRESTRICTED)
        w.feed("delete", a("4"), known=None)
        with pytest.raises(TooManyResults):
            few.search(PersonQuery(family=("佐藤",)), UNRESTRICTED)
        assert few.search(PersonQuery(family=("佐藤",), limit=2), UNRESTRICTED).total == 4
