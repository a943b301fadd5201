"""`musubi match`."""

import json
from pathlib import Path

import pytest

from gateway import app
from gateway.cli._frame import run
from gateway.codec.persons import PersonLine, render
from gateway.errors import ConfigurationError
from gateway.model.identity import PatientId
from gateway.sandbox.persons import records
from gateway.services.matching import Matching
from gateway.settings import load
from tests.person_parts import person


def write(file: Path, lines: list[PersonLine]) -> str:
    file.write_bytes(b"".join(render(line) + b"\n" for line in lines))
    return str(file)


def test_evaluate_on_invented_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["match", "evaluate", "--persons", "600", "--seed", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["records"] >= 600 and told["precision"] == 1 and told["twins_linked"] == 0


def test_evaluate_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["match", "evaluate", "--persons", "200"]) == 0
    assert "precision" in capsys.readouterr().out


def test_a_measurement_below_the_marks_is_a_finding(tmp_path: Path) -> None:
    two = [PersonLine(number, (PatientId(str(number), f"9.{number}"),), person()) for number in (1, 2)]
    assert run(["match", "evaluate", write(tmp_path / "wrong.ndjson", two)]) == 1


def test_train_prints_weights_that_evaluate_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("gateway.services.matching.training.RANDOM_PAIRS", 5_000)
    file = write(tmp_path / "people.ndjson", list(records(2, 400)))
    assert run(["match", "train", file]) == 0
    (tmp_path / "matching.toml").write_text(capsys.readouterr().out, "utf-8")
    assert run(["match", "evaluate", "--persons", "300", "--weights", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"].startswith("1-trained+")


@pytest.mark.parametrize(
    "arguments", [["match"], ["match", "guess"], ["match", "train"], ["match", "train", "no.ndjson"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_a_line_that_is_no_record_is_named_by_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "people.ndjson"
    file.write_bytes(render(PersonLine(1, (), person())) + b'\n\n{"secret": 1}\n')
    assert run(["match", "evaluate", str(file)]) != 0
    told = capsys.readouterr().err
    assert "line 3" in told and "secret" not in told


def test_a_site_sets_trained_weights_to_work(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("gateway.services.matching.training.RANDOM_PAIRS", 5_000)
    file, out = write(tmp_path / "people.ndjson", list(records(2, 400))), tmp_path / "site.toml"
    assert run(["match", "train", file, "--out", str(out)]) == 0
    (tmp_path / "musubi.toml").write_text('[security]\nmode = "open"\n[matching]\nweights = "site.toml"\n', "utf-8")
    settings = load(tmp_path / "musubi.toml", {})
    site, ours = app.matching(settings), Matching.load()
    assert site is not None and site.version == Matching.load(out).version != ours.version
    assert run(["match", "evaluate", "--persons", "300", "--seed", "5", "--weights", str(out)]) in (0, 1)
    (tmp_path / "site.toml").write_text("nonsense = 1\n", "utf-8")
    with pytest.raises(ConfigurationError):
        app.matching(settings)
