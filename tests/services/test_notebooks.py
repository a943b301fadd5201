"""gateway/services/notebooks.py: whose notebooks are, and what comes out of a store."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.codec.jahistc import parse
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import Facts, PatientId
from gateway.model.ingest import FileOutcome
from gateway.services.ingest.files import Content
from gateway.services.ingest.run import Ingestor
from gateway.services.notebooks import NotebookFile, Owner, export, owner_of
from gateway.storage.opening import Storage
from tests.services.ingest.trees import RULES, make_reader, node
from tests.translate.jahistc.notebooks import HEADS, data

USAGE = "301,1,【分３　毎食後】,14,日分,1,1,,1"
DRUG = "201,1,薬Ａ,3,錠,1,,1"
PERSON = "1,試験 太郎,1,S450102"
ID = PatientId("0001", RULES.authorities[0].oid)


def notebook(*lines: str, day: str = "20250610", patient: str = PERSON) -> bytes:
    return data(f"5,{day},1", *HEADS, *(lines or (DRUG, USAGE)), patient=patient)


def outcome(content: bytes) -> FileOutcome:
    reader = make_reader(replace(RULES, patient=ID))
    return reader.convert(b"/in/x.csv", Content(content, len(content), 1))


def known(birth: str = "", sex: str = "") -> Owner:
    return Owner(Facts(frozenset(), frozenset({birth} - {""}), frozenset({sex} - {""})))


@contextmanager
def fed(folder: Path, *notebooks: bytes) -> Iterator[tuple[Ingestor, Storage]]:
    with node(folder / "node") as (ingestor, store):
        ingestor.make_reader = lambda: make_reader(replace(RULES, patient=ID))
        for n, content in enumerate(notebooks):
            (folder / f"{n}.csv").write_bytes(content)
        ingestor.run([str(folder / f"{n}.csv") for n in range(len(notebooks))], rejects_file=folder / "rejects.jsonl")
        yield ingestor, store


def written(store: Storage, max_bytes: int = 0) -> list[NotebookFile]:
    person = store.identities.enterprise_id(ID, UNRESTRICTED)
    assert person is not None
    return export(store.resources, store.identities.patients(person, UNRESTRICTED), UNRESTRICTED, max_bytes)


def lines(content: bytes) -> list[str]:
    return [record.text().rstrip(",") for record in parse(content).records]


@pytest.mark.parametrize(
    ("owner", "patient", "taken"),
    [
        (known(), PERSON, True),
        (known("1970-01-02", "M"), PERSON, True),
        (known("1970-01", "M"), PERSON, True),
        (known("1970"), PERSON, True),
        (known("1970-01-02"), "1,別の 名前,1,19700102", True),
        (known("1970-01-03"), PERSON, False),
        (known("1970-02"), PERSON, False),
        (known(sex="F"), PERSON, False),
        (known("1970-01-02", "F"), PERSON, False),
        (known("1970-01-02", "F"), "1,試験 太郎,,S450102", True),
        (known("1970-01-02", "M"), "1,試験 太郎,1", True),
        (known(sex="F"), "1,試験 太郎,9,S450102", True),
    ],
)
def test_birth_and_sex_decide_whether_a_notebook_is_the_patients(owner: Owner, patient: str, taken: bool) -> None:
    before = outcome(notebook(patient=patient))
    after = owner.checked(before)
    assert bool(after.messages) is taken
    assert [reject.code for reject in after.rejects] == ([] if taken else ["patient-mismatch"])


def test_what_one_notebook_says_the_next_may_not_contradict() -> None:
    owner = known()
    assert owner.checked(outcome(notebook())).messages
    assert not owner.checked(outcome(notebook(patient="1,試験 太郎,1,19990909"))).messages


def test_messages_of_other_kinds_are_not_compared() -> None:
    before = outcome(b"not a notebook")
    assert known("1970-01-03").checked(before) is before


def test_the_store_says_who_the_owner_is(tmp_path: Path) -> None:
    with fed(tmp_path, notebook()) as (_, store):
        found = owner_of(ID, store.identities, store.resources, UNRESTRICTED).known
        assert (found.birth_dates, found.sexes) == ({"1970-01-02"}, {"M"})
        nobody = owner_of(PatientId("9", ID.authority), store.identities, store.resources, UNRESTRICTED).known
        assert nobody == Owner().known


def test_a_refused_notebook_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with fed(tmp_path, notebook()) as (ingestor, store):
        before = [one.body for one in store.resources.export(UNRESTRICTED)]
        ingestor.owner = owner_of(ID, store.identities, store.resources, UNRESTRICTED)
        other = tmp_path / "other.csv"
        other.write_bytes(notebook(day="20250611", patient="1,別人 花子,2,S450102"))
        summary = ingestor.run([str(other)], rejects_file=tmp_path / "rejects.jsonl")
        assert summary.states["rejected"] == 1
        assert [one.body for one in store.resources.export(UNRESTRICTED)] == before
    (line,) = (tmp_path / "rejects.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["code"] == "patient-mismatch" and "別人" not in line


def test_each_notebook_comes_out_as_it_came_in(tmp_path: Path) -> None:
    given = [notebook(), notebook("201,1,薬Ｂ,1,錠,1,,1", USAGE, "401,車の運転注意,1", day="R070701")]
    with fed(tmp_path, *given) as (_, store):
        assert sorted(lines(file.content) for file in written(store)) == sorted(lines(content) for content in given)


def test_a_long_one_is_split_and_nothing_of_another_person_comes_out(tmp_path: Path) -> None:
    groups = [line.replace(",1,", f",{n},", 1) for n in range(1, 9) for line in (DRUG, USAGE)]
    whole = notebook(*groups)
    with fed(tmp_path, whole) as (_, store):
        parts = written(store, max_bytes=len(whole) - 100)
        assert len(parts) > 1 and all(len(part.content) <= len(whole) - 100 for part in parts)
        assert len({parse(part.content).part.item("data_id") for part in parts}) == 1  # type: ignore[union-attr]
        assert export(store.resources, ("nobody",), UNRESTRICTED) == []


def test_characters_outside_of_the_standard_are_named(tmp_path: Path) -> None:
    with fed(tmp_path, notebook("201,1,薬①髙,3,錠,1,,1", USAGE)) as (_, store):
        (file,) = written(store)
        assert file.lost == ("record 201 item 2",) and "薬■■" in file.content.decode("shift_jis")
