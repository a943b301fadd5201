"""Records with versions of their own: resends in any order and in any batches give one store (keeping.py `_revise`)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.caller import UNRESTRICTED
from gateway.model.ingest import VALID, FileOutcome, Version
from gateway.storage.opening import Storage
from tests.storage.making import kept, message, outcome, record, storage
from tests.storage.test_keeping import export, keep_split

pytestmark = pytest.mark.usefixtures("each_engine")


def sent(updated: int, content: str, at: int = 0) -> FileOutcome:
    """A file with one record: its update time, its content, and when the file was sent."""
    whole = message(f"{updated}{content}{at}", at, content)
    version = Version(f"{updated:017}-{9 - at}", hashlib.sha256(content.encode()).hexdigest(), "", VALID)
    piece = replace(
        whole,
        key="one record",
        version=version,
        resources=(kept("Observation", "o", content),),
        documents=(),
        transform="",
        blobs=(),
        record=True,
        revised=True,
    )
    return outcome(whole, piece)


def shown(files: Sequence[FileOutcome], folder: Path) -> tuple[str, dict[str, int], list[str]]:
    """(text of the record, issues, states) after the files came one by one."""
    issues: dict[str, int] = {}
    states: list[str] = []
    with storage(folder) as store:
        for file in files:
            applied = store.keeping.keep([file], record)
            states += applied.states
            for code, count in applied.issues.items():
                issues[code] = issues.get(code, 0) + count
        return _text(store), issues, states


def _text(store: Storage) -> str:
    (body,) = [one.body for one in store.resources.export(UNRESTRICTED) if one.id == "o"]
    return body.rpartition(b'"text":"')[2].rstrip(b'"}').decode()


@pytest.mark.parametrize(
    ("files", "text", "issues"),
    [
        ([sent(1, "x")], "x", {}),
        ([sent(1, "x"), sent(2, "y")], "y instead of 00000000000000001", {}),
        ([sent(2, "y"), sent(1, "x")], "y instead of 00000000000000001", {"exchange-stale": 1}),
        ([sent(1, "x"), sent(2, "x")], "x", {}),
        ([sent(1, "x"), sent(1, "x", 1)], "x", {}),
        ([sent(1, "x"), sent(1, "y", 1)], "x", {"exchange-same-update-time": 1}),
        ([sent(1, "y", 1), sent(1, "x")], "x", {"exchange-same-update-time": 1}),
        ([sent(1, "x"), sent(2, "y"), sent(3, "x")], "x instead of 00000000000000002", {}),
    ],
)
def test_which_content_is_shown(tmp_path: Path, files: list[FileOutcome], text: str, issues: dict[str, int]) -> None:
    assert shown(files, tmp_path)[:2] == (text, issues)


def test_a_file_of_stale_records_counts_as_superseded(tmp_path: Path) -> None:
    assert shown([sent(2, "y"), sent(1, "x"), sent(2, "y")], tmp_path)[2] == ["ingested", "superseded", "unchanged"]


def test_a_resend_is_no_doubt(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        assert store.keeping.keep([sent(1, "x"), sent(2, "y")], record).doubtful == []


ARRIVALS = (
    st.lists(st.builds(sent, st.integers(1, 3), st.sampled_from("xyz"), st.integers(0, 2)), min_size=1, max_size=7),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 20), max_size=4),
)


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*ARRIVALS)
def test_any_order_any_split_and_any_repetition_show_the_same(
    files: list[FileOutcome], chance: Any, cuts: list[int]
) -> None:
    shuffled = files + chance.sample(files, k=chance.randint(0, len(files)))
    chance.shuffle(shuffled)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        with storage(Path(one)) as store:
            store.keeping.keep(files, record)
            expected = export(store)
        with storage(Path(other)) as store:
            keep_split(store, shuffled, cuts)
            assert export(store) == expected


@pytest.mark.parametrize("each_engine", ["postgresql"], indirect=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # two databases each
@given(*ARRIVALS)
def test_any_order_any_split_and_any_repetition_show_the_same_on_a_server(
    files: list[FileOutcome], chance: Any, cuts: list[int]
) -> None:
    test_any_order_any_split_and_any_repetition_show_the_same.hypothesis.inner_test(files, chance, cuts)
