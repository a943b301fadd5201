"""The entry-point group `gateway.sources`: a distribution of another maker adds a source, and its faults stay its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.translate import sources
from tests.translate.messages import FACILITIES, er7, file_name

MODULE = """
from gateway.translate.converted import Converted
from gateway.translate.sources import Source

def recognises(data, path):
    if data.startswith(b"BAD-LOOK"):
        raise RuntimeError("of a patient")
    return data.startswith(b"ACME")

def read(data, path, facilities, facility, explain):
    if b"raise" in data:
        raise ValueError("見本 結子")
    if b"none" in data:
        return None
    return [Converted("acme", path, 0, "0" * 64)]

SOURCE = Source("acme", "files of ACME", recognises, read)
OTHER = Source("other", "wrong name", recognises, read)
NOT_ONE = object()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Installs a distribution with this entry point, as pip would lay it out."""

    def put(*points: str) -> None:
        for number, point in enumerate(points):
            info = tmp_path / f"acme_{number}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{number}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[gateway.sources]\n{point}\n")
        (tmp_path / "acme_source.py").write_text(MODULE, encoding="utf-8")

    monkeypatch.syspath_prepend(str(tmp_path))
    sources.known.cache_clear()
    yield put
    sys.modules.pop("acme_source", None)
    sources.known.cache_clear()


def test_a_plug_in_adds_a_source_that_is_found_by_content_and_by_name(install: object) -> None:
    install("acme = acme_source:SOURCE")  # type: ignore[operator]
    assert list(sources.known())[-1] == "acme"
    (found,) = sources.read_file(b"ACME 1", "in.txt", FACILITIES)
    assert (found.source, found.error) == ("acme", None)
    (forced,) = sources.read_file(b"other", "in.txt", FACILITIES, source="acme")
    assert forced.source == "acme"


def test_our_own_sources_are_asked_first_and_stay_as_they_are(install: object) -> None:
    before = sources.BUILT_IN
    install("acme = acme_source:SOURCE")  # type: ignore[operator]
    assert tuple(sources.known().values())[: len(before)] == before
    (message,) = sources.read_file(er7("ADT-12", "PV1|1|O"), file_name("ADT-12"), FACILITIES)
    assert message.source == "ss-mix2" and message.error is None


@pytest.mark.parametrize(("content", "words"), [(b"ACME raise", "ValueError"), (b"ACME none", "no list of Converted")])
def test_a_plug_in_that_fails_costs_its_own_file_only(install: object, content: bytes, words: str) -> None:
    install("acme = acme_source:SOURCE")  # type: ignore[operator]
    (found,) = sources.read_file(content, "dir/in.txt", FACILITIES)
    assert found.error is not None and found.error.code == "plug-in-failed" and words in found.error.text
    assert "結子" not in found.error.text and (found.file, found.source) == ("in.txt", "acme")
    assert found.to_bundle("transaction")["entry"][0]["resource"]["resourceType"] == "OperationOutcome"


def test_a_plug_in_that_fails_to_look_knows_nothing(install: object) -> None:
    install("acme = acme_source:SOURCE")  # type: ignore[operator]
    (found,) = sources.read_file(b"BAD-LOOK", "in.txt", FACILITIES)
    assert found.error is not None and found.error.code == "not-hl7"


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (("ss-mix2 = acme_source:SOURCE",), "cannot replace"),
        (("acme = acme_source:SOURCE", "acme = acme_source:SOURCE"), "cannot replace"),
        (("acme = acme_source:OTHER",), "is no"),
        (("acme = acme_source:NOT_ONE",), "is no"),
        (("acme = acme_source:GONE",), "AttributeError"),
        (("acme = no_such_module:SOURCE",), "ModuleNotFoundError"),
    ],
)
def test_what_is_no_new_source_stops_the_start(install: object, points: tuple[str, ...], words: str) -> None:
    install(*points)  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=words):
        sources.known()
