"""A storage and the transaction file of the same data give the same state."""

from pathlib import Path

import orjson
import pytest

from gateway.sandbox.ssmix2 import generate
from tests.codec.test_transaction_storage import FIELDS, head
from tests.services.ingest.test_reading import lab
from tests.services.ingest.trees import export, node

NAME = "TR_20240601000000000_00001.DAT"


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """(root of the standardised storage, root of the transaction storage), of the same data."""
    transactions = tmp_path / "TRANS" / "2024"
    transactions.mkdir(parents=True)
    generate(tmp_path / "1310000001", seed=5, patients=6, files=60, transactions=transactions / NAME)
    return tmp_path / "1310000001", tmp_path / "TRANS"


def ingested(here: Path, *paths: Path) -> tuple[dict[str, int], list[bytes]]:
    with node(here) as (ingestor, store):
        summary = ingestor.run([str(path) for path in paths], rejects_file=here / "rejects.jsonl")
        assert not summary.reject_codes and "two-current-files" not in summary.issues
        return dict(summary.states), export(store)


def test_the_same_data_give_the_same_export(tmp_path: Path, both: tuple[Path, Path]) -> None:
    storage, transactions = both
    flags = {path.name[-1] for path in storage.rglob("*") if path.is_file()}
    assert flags == {"0", "1", "2"}
    _, expected = ingested(tmp_path / "one", storage)
    states, found = ingested(tmp_path / "two", transactions)
    assert found == expected and len(found) > 60
    assert states["ingested"] == 1
    _, again = ingested(tmp_path / "two", storage)
    assert again == expected


def test_a_file_that_grew_is_read_again_and_tells_only_its_news(tmp_path: Path, both: tuple[Path, Path]) -> None:
    _, transactions = both
    file = transactions / "2024" / NAME
    whole = file.read_bytes()
    middle = whole.index(b"1310000001\t", len(whole) // 2)
    file.write_bytes(whole[:middle])
    ingested(tmp_path / "grown", transactions)
    file.write_bytes(whole)
    _, grown = ingested(tmp_path / "grown", transactions)
    _, fresh = ingested(tmp_path / "fresh", file)
    assert grown == fresh


@pytest.mark.parametrize(
    ("place", "root", "taken"),
    [
        (f"1310000001/000/001/{NAME}", "1310000001", False),
        (f"1310000001/{NAME}", "1310000001", False),
        (f"TRANS/{NAME}", "TRANS", True),
        (f"TRANS/2024/{NAME}", "TRANS", True),
        (f"TRANS/2024/{NAME}", "TRANS/2024", True),
        (f"all/TRANS/2024/{NAME}", "all", False),
        (f"1310000001/{NAME}", f"1310000001/{NAME}", True),
    ],
)
def test_where_transaction_files_are_read(tmp_path: Path, place: str, root: str, taken: bool) -> None:
    (tmp_path / "1310000001" / "000").mkdir(parents=True)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    fields = (*FIELDS[:2], "20260105", *FIELDS[3:])
    file.write_bytes(head("tab", *fields) + b"\r\n" + lab())
    states, _ = ingested(tmp_path / "n", tmp_path / root)
    assert states == ({"ingested": 1} if taken else {"ignored": 1})


def test_a_deletion_without_a_message_takes_away_what_an_earlier_file_brought(tmp_path: Path) -> None:
    first, second = (tmp_path / f"TR_2024060{n}000000000_00001.DAT" for n in (1, 2))
    first.write_bytes(head("tab") + b"\r\n" + lab())
    second.write_bytes(head("tab", *FIELDS[:5], "20240602000000000", "01", "DEL") + b"\r\n")
    for order in ((first, second), (second, first)):
        with node(tmp_path / f"n-{order[0].name}") as (ingestor, store):
            for file in order:
                ingestor.run([str(file)], rejects_file=tmp_path / "r.jsonl")
            types = {orjson.loads(line)["resourceType"] for line in export(store)}
            assert "Observation" not in types


def test_a_version_in_a_later_file_supersedes_the_one_before(tmp_path: Path) -> None:
    files = [tmp_path / f"TR_2024060{n}000000000_00001.DAT" for n in (1, 2)]
    for file, time, value in zip(files, ("20240601120000000", "20240602120000000"), ("1.50", "2.75"), strict=True):
        file.write_bytes(head("tab", *FIELDS[:5], time, "01", "INS") + b"\r\n" + lab(value=value))
    for order in (files, files[::-1]):
        _, found = ingested(tmp_path / f"n-{order[0].name}", *order)
        assert b"2.75" in b"".join(found) and b"1.50" not in b"".join(found)
