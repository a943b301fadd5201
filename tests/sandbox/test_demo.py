"""fixtures/demo is what the generator makes, and holds what the demonstration needs."""

import json
from pathlib import Path

from gateway.sandbox import demo

FIXTURES = Path(__file__).parents[2] / "fixtures" / "demo"


def content(root: Path) -> dict[str, bytes]:
    sites = [root / site.folder for site in demo.SITES]
    return {
        str(path.relative_to(root)): path.read_bytes() for site in sites for path in site.rglob("*") if path.is_file()
    }


def test_regeneration_gives_identical_bytes(tmp_path: Path) -> None:
    manifests = demo.write(tmp_path)
    assert content(tmp_path) == content(FIXTURES)
    committed = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
    assert {name: manifest.as_dict() for name, manifest in manifests.items()} == committed


def test_the_shared_person_has_three_numbers_and_one_medical_id() -> None:
    numbers = set()
    for site in demo.SITES:
        files = [path for path in (FIXTURES / site.root).rglob(f"{site.shared_number}_*") if path.is_file()]
        assert files
        for path in files:
            assert demo.SHARED.medical_id.encode() in path.read_bytes()
        numbers.add(site.shared_number)
    assert len(numbers) == 3


def test_her_numbers_belong_to_other_people_elsewhere() -> None:
    for site in demo.SITES:
        for other in demo.SITES:
            if other is not site:
                strangers = [p for p in (FIXTURES / site.root).rglob(f"{other.shared_number}_*") if p.is_file()]
                assert strangers
                assert all(demo.SHARED.medical_id.encode() not in path.read_bytes() for path in strangers)


def test_what_the_federated_question_will_find() -> None:
    def current(folder: str, data_type: str) -> int:
        site = next(site for site in demo.SITES if site.folder == folder)
        return len(list((FIXTURES / site.root).rglob(f"{site.shared_number}_*_{data_type}_*_1")))

    assert current("tokyo", "ADT-00") == current("osaka", "ADT-00") == current("nagasaki", "ADT-00") == 1
    assert current("tokyo", "OML-11") >= 2 and current("osaka", "OML-11") >= 2
    assert current("nagasaki", "OMP-01") >= 2
    assert current("nagasaki", "OML-11") == current("osaka", "OMP-01") == 0


def test_small_enough_to_read() -> None:
    for site in demo.SITES:
        files = [path for path in (FIXTURES / site.root).rglob("*") if path.is_file()]
        assert 25 <= len(files) <= 40
        assert {path.name[-1] for path in files} == {"0", "1", "2"}
