"""The identity index end to end, over a real storage."""

from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.errors import InvalidParameter, UnknownAuthority, UnknownPatient
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.model.person import PersonQuery
from gateway.services.persons.feeding import event_time
from tests.services.persons.parts import SATO, TANAKA, A, B, C, a, b, med, moved, world
from tests.storage.making import DOMAIN

pytestmark = pytest.mark.usefixtures("each_engine")


def test_a_fed_record_is_read_searched_and_cross_referenced(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        fed = w.feed("add", a("1"), med("M1"))
        assert fed.created and fed.changed and fed.links == (med("M1"),)
        w.feed("add", b("9"), med("M1"))
        assert w.xref(a("1")) == ["9@22", "M1@3"]
        assert w.xref(a("1"), B) == ["9@22"]
        assert w.xref(med("M1"), A) == ["1@21"]
        eid = w.persons.cross_reference(a("1"), (DOMAIN,), UNRESTRICTED)
        assert eid == (PatientId(w.persons.record(a("1"), UNRESTRICTED).enterprise_id, DOMAIN),)
        assert w.persons.cross_reference(eid[0], (A,), UNRESTRICTED) == (a("1"),)
        page = w.persons.search(PersonQuery(family=("ｻﾄｳ",), birth_date="198005"), UNRESTRICTED)
        assert [one.id for one in page.records] == [a("1"), b("9")]
        assert page.records[0].demographics == SATO
        assert w.persons.read(page.records[0].patient, UNRESTRICTED) == page.records[0]


def test_the_cases_of_a_query(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        assert w.xref(a("1"), B) == []
        with pytest.raises(UnknownPatient) as unknown:
            w.xref(a("2"))
        assert not isinstance(unknown.value, UnknownAuthority)
        with pytest.raises(UnknownAuthority) as own:
            w.xref(PatientId("1", "1.9.9"))
        assert own.value.at == -1 and own.value.bad == ()
        with pytest.raises(UnknownAuthority) as domains:
            w.xref(a("1"), B, "1.9.9", C, "1.9.8")
        assert domains.value.bad == (1, 3)


# --- merges ---------------------------------------------------------------------------------------------------------


def test_a_merge_moves_the_links_of_the_retired_number(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", a("2"), med("M1"))
        w.feed("add", b("9"), med("M1"))
        assert w.xref(b("9"), A) == ["2@21"]
        before = w.persons.record(a("1"), UNRESTRICTED).enterprise_id
        fed = w.feed("merge", a("1"), prior=(a("2"),))
        assert w.xref(b("9"), A) == ["1@21"]
        assert w.xref(med("M1"), A, B) == ["1@21", "9@22"]
        with pytest.raises(UnknownPatient):
            w.xref(a("2"))
        assert w.persons.record(a("2"), UNRESTRICTED) is None
        assert fed.enterprise_id == w.persons.record(b("9"), UNRESTRICTED).enterprise_id
        assert len({before, fed.enterprise_id}) <= 2
        page = w.persons.search(PersonQuery(family=("佐藤",)), UNRESTRICTED)
        assert [one.id for one in page.records] == [a("1"), b("9")]


def test_a_minimal_merge_message_hides_nothing_of_the_survivor(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", a("2"))
        w.feed("merge", a("1"), prior=(a("2"),), known=moved(SATO, birth_date="", sex="", telecoms=()))
        assert w.persons.record(a("1"), UNRESTRICTED).demographics == SATO


def test_merges_that_cannot_be(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), a("2"), a("3"), b("9")):
            w.feed("add", one)
        with pytest.raises(InvalidParameter):
            w.feed("merge", a("1"), prior=(a("1"),))
        with pytest.raises(InvalidParameter):
            w.feed("merge", a("1"), prior=(b("9"),))
        with pytest.raises(UnknownPatient) as unknown:
            w.feed("merge", a("1"), prior=(a("77"),))
        assert unknown.value.at == 1
        with pytest.raises(UnknownAuthority):
            w.feed("merge", a("1"), prior=(PatientId("1", "1.9"),))
        w.feed("merge", a("1"), prior=(a("2"),))
        for survivor, prior in ((a("2"), a("1")), (a("3"), a("2")), (a("1"), a("2")), (a("2"), a("3"))):
            with pytest.raises(InvalidParameter):
                w.feed("merge", survivor, prior=(prior,))


def test_the_same_merge_again_is_no_error_and_no_news(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", a("2"))
        first = w.feed("merge", a("1"), prior=(a("2"),), at=50)
        again = w.feed("merge", a("1"), prior=(a("2"),), at=50)
        assert first.changed and not again.changed
        assert [line.what for line in w.desk.history(a("2"), UNRESTRICTED)].count("merged") == 1


def test_chains_of_merges_and_taking_one_back(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), a("2"), a("3")):
            w.feed("add", one)
        w.feed("add", b("9"), a("3"))
        w.feed("merge", a("2"), prior=(a("3"),))
        w.feed("merge", a("1"), prior=(a("2"),))
        assert w.xref(b("9"), A) == ["1@21"]
        w.desk.undo_merge(a("2"), "clerk", w.caller)
        assert w.xref(b("9"), A) == ["2@21"]
        assert w.xref(a("1")) == []
        w.feed("merge", a("1"), prior=(a("2"),))
        assert w.xref(b("9"), A) == ["1@21"]


def test_news_of_a_retired_number_revive_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", a("2"))
        w.feed("merge", a("1"), prior=(a("2"),))
        fed = w.feed("revise", a("2"), known=TANAKA)
        assert fed.warnings and not fed.enterprise_id
        with pytest.raises(UnknownPatient):
            w.xref(a("2"))
        assert w.persons.search(PersonQuery(family=("田中",)), UNRESTRICTED).total == 0


def test_a_change_of_number(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), med("M1"))
        w.feed("add", b("9"), med("M1"))
        w.feed("change-id", a("100"), prior=(a("1"),), known=None)
        assert w.xref(b("9"), A) == ["100@21"]
        assert w.persons.record(a("100"), UNRESTRICTED).demographics == SATO
        with pytest.raises(UnknownPatient):
            w.xref(a("1"))
        with pytest.raises(UnknownPatient):
            w.feed("change-id", a("5"), prior=(a("4"),))
        w.feed("add", a("6"))
        with pytest.raises(InvalidParameter):
            w.feed("change-id", a("6"), prior=(a("100"),))


# --- links ----------------------------------------------------------------------------------------------------------


def test_link_and_unlink(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", b("9"))
        w.feed("link", a("1"), prior=(b("9"),), known=None)
        assert w.xref(a("1")) == ["9@22"]
        w.feed("unlink", a("1"), prior=(b("9"),), known=None)
        assert w.xref(a("1")) == []
        w.feed("link", b("9"), prior=(a("1"),), known=None)
        assert w.xref(a("1")) == ["9@22"]
        with pytest.raises(UnknownPatient) as unknown:
            w.feed("link", a("1"), prior=(b("8"),), known=None)
        assert unknown.value.at == 1


def test_an_unlink_stands_above_a_shared_id(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), med("M1"))
        w.feed("add", b("9"), med("M1"))
        w.feed("unlink", a("1"), prior=(b("9"),), known=None)
        assert w.xref(a("1")) == []
        with pytest.raises(UnknownPatient):  # its holders are two persons now: it leads nowhere
            w.xref(med("M1"))


def test_a_list_of_ids_links_two_domains_and_two_of_one(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        w.feed("add", b("9"))
        w.feed("revise", b("9"), a("1"))
        assert w.xref(a("1")) == ["9@22"]
        w.feed("add", b("10"), a("1"))
        assert w.xref(a("1"), B) == ["10@22", "9@22"]
        w.feed("revise", b("10"))
        assert w.xref(a("1"), B) == ["9@22"]


def test_a_link_follows_the_newest_event_whatever_comes_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), at=1)
        w.feed("add", b("9"), at=1)
        w.feed("unlink", a("1"), prior=(b("9"),), known=None, at=30)
        w.feed("link", a("1"), prior=(b("9"),), known=None, at=20)
        assert w.xref(a("1")) == []


def test_the_affinity_domain_is_fed_from_outside(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        outside = PatientId("XAD1", DOMAIN)
        w.feed("add", outside)
        w.feed("add", a("1"), outside)
        assert w.persons.cross_reference(a("1"), (DOMAIN,), UNRESTRICTED) == (outside,)
        assert w.persons.cross_reference(outside, (A,), UNRESTRICTED) == (a("1"),)
        assert w.storage.identities.enterprise_id(outside, UNRESTRICTED)


# --- deletion -------------------------------------------------------------------------------------------------------


def test_a_deleted_record_is_unknown_until_something_newer_is_said(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), med("M1"), at=1)
        w.feed("add", b("9"), med("M1"), at=1)
        w.feed("delete", a("1"), known=None, at=5)
        with pytest.raises(UnknownPatient):
            w.xref(a("1"))
        assert w.xref(b("9"), A) == []
        assert w.xref(med("M1")) == ["9@22"]
        assert w.persons.search(PersonQuery(family=("佐藤",)), UNRESTRICTED).total == 1
        w.feed("revise", a("1"), med("M1"), at=3)
        with pytest.raises(UnknownPatient):
            w.xref(a("1"))
        w.feed("add", a("1"), med("M1"), at=9)
        assert w.xref(a("1"), B) == ["9@22"]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)  # looks into the file
def test_a_my_number_is_refused_and_stands_nowhere(tmp_path: Path) -> None:
    number = "123456789018"
    with world(tmp_path) as w:
        for id_ in (PatientId(number, "1.2.3"), PatientId(number, "")):
            with pytest.raises(InvalidParameter, match="My Number") as refused:
                w.feed("add", a("1"), id_)
            assert number not in str(refused.value)
        w.feed("add", a("1"))
    assert number.encode() not in (tmp_path / "musubi.db").read_bytes()


def test_odd_ids_and_unknown_authorities(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for value in ("", " 1", "1\x00", "x" * 300, "1\x1f2"):
            with pytest.raises(InvalidParameter):
                w.feed("add", a(value))
        with pytest.raises(UnknownAuthority) as unknown:
            w.feed("add", PatientId("1", "1.9.9"))
        assert unknown.value.at == 0
        fed = w.feed("add", a("1"), PatientId("L", "1.9.9"))
        assert fed.warnings
        assert w.xref(a("1")) == []


def test_an_insured_person_s_number_is_one_in_every_width(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), PatientId("00012345:あいう:１８７:05", w.insurer))
        w.feed("add", b("9"), PatientId("１２３４５：あいう：187：05", w.insurer))
        assert w.xref(a("1"), B) == ["9@22"]
        assert w.xref(PatientId("12345:あいう:187:05", w.insurer), A) == ["1@21"]


def test_the_patient_of_a_retired_number_says_so_and_lives_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), a("2")):
            w.feed("add", one)
        survivor, retired = (w.persons.record(one, UNRESTRICTED).patient for one in (a("1"), a("2")))
        w.feed("merge", a("1"), prior=(a("2"),))

        def shown(id_: str) -> dict[str, object]:
            return fhir.parse(w.storage.resources.read("Patient", id_, UNRESTRICTED).body)

        assert shown(retired)["active"] is False
        assert shown(retired)["link"] == [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
        w.feed("revise", a("2"), known=TANAKA)
        assert shown(retired)["active"] is False and shown(retired)["birthDate"] == "1955-12-31"
        w.desk.undo_merge(a("2"), "clerk", w.caller)
        assert "active" not in shown(retired) and "link" not in shown(retired)
        assert shown(retired)["birthDate"] == "1955-12-31"
        assert w.persons.search(PersonQuery(family=("田中",)), UNRESTRICTED).total == 1


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("20260102030405.678", "20260102030405678"),
        ("20260102030405.6789+0900", "20260102030405678"),
        ("20260101180405+0000", "20260102030405000"),
        ("202601020304", "20260102030400000"),
        ("20260102", "20260102000000000"),
        ("20260102030405678", "20260102030405678"),
        ("", "00000000000000000"),
    ],
)
def test_event_times_are_japanese_time(time: str, expected: str) -> None:
    assert event_time(time) == expected
