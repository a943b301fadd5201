"""Exchange files through a real node: resends in any order (5), and what comes out again (9)."""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from gateway.model.caller import UNRESTRICTED
from gateway.profiles.validator import Validator
from gateway.services.exchange import export, returned
from gateway.storage.opening import Storage
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.registers import Registers
from tests.services.ingest.trees import export as everything
from tests.services.ingest.trees import node
from tests.translate.exchange_spec.making import canonical, envelope, files, person, record

CHECK = Validator.default().check
SCALE = record("weighing_scale")
FIRST = "20171005210000000"
SECOND = "20171006210000000"
THIRD = "20171007210000000"


def scale(weight: int, updated: str, sent: str = FIRST, **changes: Any) -> dict[str, Any]:
    """A file with one record of the same key."""
    made = {**SCALE, "body_weight": weight, "update_time": updated, **changes}
    return envelope(person("P1", weighing_scale=[made]), send_time=sent)


class Fed:
    """A node and what feeding it said."""

    def __init__(self, folder: Path, *documents: Any) -> None:
        folder.mkdir(parents=True)
        self.issues: Counter[str] = Counter()
        self.states: list[str] = []
        self.views: list[list[bytes]] = []
        with node(folder / "node") as (ingestor, store):
            for n, document in enumerate(documents):
                path = folder / f"{n}.json"
                path.write_bytes(document if isinstance(document, bytes) else exact.dumps(document))
                summary = ingestor.run([str(path)], rejects_file=folder / "rejects.jsonl")
                self.issues.update(summary.issues)
                self.states += [state for state, count in summary.states.items() if count]
                self.views.append(everything(store))
            self.shown = self._shown(store)
            self.history = self._history(store)
            self.exported = export(store.resources, UNRESTRICTED, Registers())
        rejects = folder / "rejects.jsonl"
        self.rejects = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]

    @staticmethod
    def _shown(store: Storage) -> list[dict[str, Any]]:
        found = [json.loads(one.body) for one in store.resources.export(UNRESTRICTED)]
        for one in found:
            assert [f for f in CHECK(one) if f.severity in ("error", "fatal")] == []
        return found

    def _history(self, store: Storage) -> list[tuple[int, str, int]]:
        (id_,) = [one["id"] for one in self.shown if one.get("code", {}).get("text") == "体重"]
        versions = store.resources.history("Observation", id_, UNRESTRICTED)
        bodies = [(one.version, json.loads(one.body)) for one in versions]
        return sorted((number, body["status"], body["valueQuantity"]["value"]) for number, body in bodies)

    @property
    def weight(self) -> tuple[str, int, str]:
        (found,) = [one for one in self.shown if one.get("code", {}).get("text") == "体重"]
        return found["status"], found["valueQuantity"]["value"], found["issued"][:10]

    @property
    def corrections(self) -> list[str]:
        """Update times of what corrections say they replace."""
        entities = [one["entity"][0] for one in self.shown if one["resourceType"] == "Provenance" and "reason" in one]
        return [entity["extension"][0]["valueString"] for entity in entities]


def fed(folder: Path, *documents: Any) -> Fed:
    """The node fed in this order; every other order has to give the same bytes."""
    made = Fed(folder / "given", *documents)
    files = [document if isinstance(document, bytes) else exact.dumps(document) for document in documents]
    for n, order in enumerate(itertools.permutations(range(len(files)))):
        other = Fed(folder / str(n), *(files[at] for at in order))
        assert nameless(other.views[-1]) == nameless(made.views[-1]), order
    return made


def nameless(view: list[bytes]) -> list[bytes]:
    """Without the file name in Provenance: the same bytes under another name are another file."""
    found = []
    for body in view:
        for n in range(9):
            body = body.replace(b'"value":"%d.json"' % n, b'"value":"N"')
        found.append(body)
    return found


DAY1, DAY2, DAY3 = "20171001000000000", "20171002000000000", "20171003000000000"


def test_a_first_version_is_final(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1))
    assert made.weight == ("final", 70, "2017-10-01") and made.corrections == []


def test_a_newer_content_corrects_and_says_what(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1), scale(71, DAY2, SECOND))
    assert made.weight == ("corrected", 71, "2017-10-02") and made.corrections == [DAY1]
    assert made.history == [(1, "final", 70), (2, "corrected", 71)]


def test_the_same_content_with_a_newer_time_moves_issued_only(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1), scale(70, DAY2, SECOND))
    assert made.weight == ("final", 70, "2017-10-02") and made.corrections == []


def test_a_correction_stays_one_when_it_is_sent_again(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1), scale(71, DAY2, SECOND), scale(71, DAY3, THIRD))
    assert made.weight == ("corrected", 71, "2017-10-03") and made.corrections == [DAY1]


def test_a_content_that_comes_back_corrects_what_was_between(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1), scale(71, DAY2, SECOND), scale(70, DAY3, THIRD))
    assert made.weight == ("corrected", 70, "2017-10-03") and made.corrections == [DAY2]


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    document = scale(70, DAY1)
    made = Fed(tmp_path / "a", document, document)
    assert made.views[0] == made.views[1] or nameless(made.views[0]) == nameless(made.views[1])
    assert made.history == [(1, "final", 70)] and not made.issues["exchange-stale"]


def test_the_same_record_in_another_file_changes_nothing_of_it(tmp_path: Path) -> None:
    made = fed(tmp_path, scale(70, DAY1), scale(70, DAY1, SECOND))
    assert made.weight == ("final", 70, "2017-10-01") and made.history == [(1, "final", 70)]
    assert not made.issues["exchange-stale"] and not made.issues["exchange-same-update-time"]


def test_a_stale_one_is_said_and_not_shown(tmp_path: Path) -> None:
    made = Fed(tmp_path / "a", scale(70, DAY2), scale(71, DAY3, SECOND), scale(60, DAY1, THIRD))
    assert made.weight == ("corrected", 71, "2017-10-03") and made.issues["exchange-stale"] == 1
    assert made.states[-1] == "superseded" and made.corrections == [DAY2]
    assert [one for one in made.views[1] if b"Observation" in one[:30]] == [
        one for one in made.views[2] if b"Observation" in one[:30]
    ]


def test_of_two_that_differ_at_one_time_the_one_sent_first_is_kept(tmp_path: Path) -> None:
    for n, weights in enumerate([(70, 71), (71, 70)]):
        made = fed(tmp_path / str(n), scale(weights[0], DAY1, FIRST), scale(weights[1], DAY1, SECOND))
        assert made.weight == ("final", weights[0], "2017-10-01")
        assert made.issues["exchange-same-update-time"] == 1 and made.corrections == []


def test_what_a_correction_no_longer_says_is_gone(tmp_path: Path) -> None:
    shorter = scale(71, DAY2, SECOND)
    del shorter["person_information"][0]["healthcare_information"]["weighing_scale"][0]["body_fat"]
    made = fed(tmp_path, scale(70, DAY1), shorter)
    assert [one["code"]["text"] for one in made.shown if one["resourceType"] == "Observation"] == ["体重"]


def test_a_record_of_another_device_or_person_is_another_record(tmp_path: Path) -> None:
    other = scale(71, DAY2, SECOND, production_specification_serial="SN2")
    somebody = envelope(person("P2", weighing_scale=[SCALE]))
    made = fed_all(tmp_path, scale(70, DAY1), other, somebody)
    weights = [one for one in made if one.get("code", {}).get("text") == "体重"]
    assert len(weights) == 3 and {one["status"] for one in weights} == {"final"}


def fed_all(folder: Path, *documents: Any) -> list[dict[str, Any]]:
    with node(folder / "node") as (ingestor, store):
        for n, document in enumerate(documents):
            path = folder / f"{n}.json"
            path.write_bytes(exact.dumps(document))
            ingestor.run([str(path)], rejects_file=folder / "rejects.jsonl")
        return [json.loads(one.body) for one in store.resources.export(UNRESTRICTED)]


def test_a_bad_record_is_listed_and_the_rest_goes_in(tmp_path: Path) -> None:
    document = envelope(person("P1", weighing_scale=[SCALE, {**SCALE, "body_weight": "x"}], hba1c=[{}]))
    made = Fed(tmp_path / "a", document)
    assert made.weight[0] == "final" and made.states == ["ingested"]
    assert {(one["code"], one["reason"].partition(" ")[0]) for one in made.rejects} >= {
        ("exchange-type", "E-TYPE:body_weight"),
        ("exchange-required", "E-REQUIRED:hba1c_value"),
    }
    assert all(one["reason"].endswith(tuple("abcdefghijklmnopqrstuvwxyz_")) for one in made.rejects)
    assert any(" at /person_information/0/" in one["reason"] for one in made.rejects)


def test_a_bad_header_rejects_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(exact.dumps({**scale(70, DAY1), "format_version": "2.0"}))
    with node(tmp_path / "node") as (ingestor, store):
        summary = ingestor.run([str(path)], rejects_file=tmp_path / "rejects.jsonl")
        assert summary.states["rejected"] == 1 and everything(store) == []
    assert '"exchange-version"' in (tmp_path / "rejects.jsonl").read_text("utf-8")


# -- out again --------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files())
def test_a_file_through_a_node_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.mktemp("node")
    path = folder / "x.json"
    path.write_bytes(exact.dumps(document))
    with node(folder / "node") as (ingestor, store):
        summary = ingestor.run([str(path)], rejects_file=folder / "rejects.jsonl")
        assert summary.states["ingested"] == 1
        made = export(store.resources, UNRESTRICTED, Registers())
    (file,) = made.files
    assert canonical(exact.loads(file.content.decode())) == canonical(document)
    assert file.name == "HX_TST001_20171005210000123.json" and made.skipped == {}


def test_what_was_exported_and_fed_to_another_node_is_the_same_there(tmp_path: Path) -> None:
    made = Fed(tmp_path / "a", scale(70, DAY1), scale(71, DAY2, SECOND))
    again = Fed(tmp_path / "b", made.exported.files[0].content)
    assert again.exported.files == made.exported.files


def test_of_several_files_the_newest_send_time_is_said(tmp_path: Path) -> None:
    made = Fed(tmp_path / "a", scale(70, DAY1, SECOND), scale(71, DAY2, FIRST))
    (file,) = made.exported.files
    assert file.name == f"HX_TST001_{SECOND}.json" and made.exported.records == 1


def test_other_resources_are_passed_over() -> None:
    hospital = b'{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"}}'
    made = returned([hospital, b'{"resourceType":"Encounter","id":"1"}'], Registers())
    assert made.files == [] and made.skipped == {"other-kind": 1}


def test_the_samples_01_04_05(tmp_path: Path, shared: Path) -> None:
    folder = shared / "samples" / "exchange-spec"
    names = ["valid-01-all-types.json", "valid-04-resend-corrects-01.json", "valid-05-stale-ignored-after-04.json"]
    documents = [(folder / name).read_bytes() for name in names]
    views = set()
    for n, order in enumerate(itertools.permutations(documents)):
        made = Fed(tmp_path / str(n), *order)
        views.add(b"\n".join(nameless(made.views[-1])))
        (step,) = [o for o in made.shown if o.get("effectiveDateTime") == "2017-10-01" and o["code"]["text"] == "歩数"]
        assert (step["status"], step["valueQuantity"]["value"]) == ("corrected", 8512)
    assert len(views) == 1
