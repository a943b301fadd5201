"""The life of a medical ID, over a real storage and the agency of the sandbox."""

from pathlib import Path

import pytest

from gateway.errors import InvalidParameter, Unavailable, UnknownPatient
from gateway.model.caller import UNRESTRICTED
from gateway.sandbox.medical_id import SandboxAgency
from gateway.services.medical_id import MedicalIds
from tests.services.persons.parts import CALLER, MEDICAL, TANAKA, A, B, World, a, b, c, med, world
from tests.storage.making import ticking


def _ids(w: World, agency: SandboxAgency) -> MedicalIds:
    return MedicalIds(w.persons, w.storage.persons, w.storage.keeping, agency, ticking(), MEDICAL)


def test_issuing_links_the_numbers_of_one_person(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), b("9")):
            w.feed("add", one)
        w.feed("add", c("5"), known=TANAKA)
        ids = _ids(w, SandboxAgency())
        number = ids.assign(a("1"), CALLER, UNRESTRICTED)
        assert number == ids.assign(b("9"), CALLER, UNRESTRICTED) != ids.assign(c("5"), CALLER, UNRESTRICTED)
        assert w.xref(a("1"), B) == ["9@22"]
        assert ids.state(number, UNRESTRICTED) == ("active", (a("1"), b("9")), None)
        with pytest.raises(UnknownPatient):
            ids.assign(a("77"), CALLER, UNRESTRICTED)


def test_a_replaced_number_leads_nowhere_and_its_holders_to_the_new_one(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), b("9"), c("5")):
            w.feed("add", one)
        ids = _ids(w, SandboxAgency())
        old = ids.assign(a("1"), CALLER, UNRESTRICTED)
        ids.assign(b("9"), CALLER, UNRESTRICTED)
        new = ids.replace(old, "card lost", CALLER, UNRESTRICTED)
        assert ids.state(old, UNRESTRICTED) == ("replaced", (), new)
        assert ids.state(new, UNRESTRICTED).holders == (a("1"), b("9"))
        with pytest.raises(UnknownPatient):
            w.xref(old)
        assert w.xref(new, A) == ["1@21"]
        # A hospital that did not hear of it still sends the old one.
        w.feed("revise", c("5"), old)
        assert w.xref(c("5"), A) == ["1@21"]
        with pytest.raises(UnknownPatient):
            ids.replace(old, "", CALLER, UNRESTRICTED)


def test_a_suspended_number_links_nobody_until_it_is_resumed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for one in (a("1"), b("9")):
            w.feed("add", one)
        ids = _ids(w, SandboxAgency())
        number = ids.assign(a("1"), CALLER, UNRESTRICTED)
        ids.assign(b("9"), CALLER, UNRESTRICTED)
        ids.suspend(number, "misused", CALLER, UNRESTRICTED)
        assert w.xref(a("1")) == []
        assert ids.state(number, UNRESTRICTED).state == "suspended"
        with pytest.raises(UnknownPatient):
            w.xref(number)
        ids.resume(number, "", CALLER)
        assert w.xref(a("1"), B) == ["9@22"]
        with pytest.raises(InvalidParameter):
            ids.resume(number, "", CALLER)
        assert [line.what for line in ids.history(number, UNRESTRICTED)] == ["issued", "issued", "suspended", "resumed"]


def test_an_agency_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"))
        agency = SandboxAgency()
        ids = _ids(w, agency)
        number = ids.assign(a("1"), CALLER, UNRESTRICTED)
        agency.reachable = False
        for act in (
            lambda: ids.assign(a("1"), CALLER, UNRESTRICTED),
            lambda: ids.suspend(number, "", CALLER, UNRESTRICTED),
        ):
            with pytest.raises(Unavailable):
                act()
        assert ids.state(number, UNRESTRICTED).state == "active"
        assert ids.state(med("M9"), UNRESTRICTED).state == "unknown"
        with pytest.raises(InvalidParameter):
            ids.suspend(a("1"), "", CALLER, UNRESTRICTED)
