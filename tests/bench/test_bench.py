"""Smoke test: each benchmark runs in its tiniest form and measures something. Nothing here judges speed."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import report
from tests.bench.material import TINY, laboratory_message, laboratory_path
from tests.bench.measure import Figure, best_of, side_by_side
from tests.bench.translating import split


@pytest.mark.parametrize("name", sorted(bench.BENCHMARKS))
def test_each_benchmark_measures_something(name: str) -> None:
    if name in ("large", "memory", "tree-scale") and not Path("/proc/self/status").is_file():
        pytest.skip("memory is measured through /proc")
    figures = list(bench.measure(name, TINY))
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value)
        assert figure.value > 0 or figure.name == "rescan, files opened"
        assert figure.unit or figure.limit is not None
        assert figure.note


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc")
def test_a_large_document_goes_through_in_pieces() -> None:
    """The short form of `large`: 96 MiB in and out. A document held whole anywhere would show with its full size."""
    for figure in bench.measure("large", replace(TINY, document=96 * 1024 * 1024)):
        assert figure.value < 64, figure


def test_an_unchanged_storage_is_not_opened() -> None:
    opened = {figure.name: figure.value for figure in bench.measure("rescan", TINY)}
    assert opened["rescan, files opened"] == 0


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 2.0, "x", 2), "PASS"),
        (Figure("a", 2.1, "x", 2), "short of target"),
        (Figure("a", 2.0, "x", 2, at_least=True), "PASS"),
        (Figure("a", 1.9, "x", 2, at_least=True), "short of target"),
        (Figure("a", 1.9, "x"), ""),
    ],
)
def test_verdict(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


def test_a_missed_target_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(bench.BENCHMARKS, "check", lambda folder, size: iter([Figure("check", 3.0, "x", 2)]))
    assert bench.main(["--only", "check"]) == 1
    assert "short of target: check" in capsys.readouterr().out
    monkeypatch.setitem(bench.BENCHMARKS, "check", lambda folder, size: iter([Figure("check", 1.0, "x", 2)]))
    assert bench.main(["--only", "check", "--json"]) == 0


def test_the_page_keeps_what_stands_around_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", encoding="utf-8")
    report.write(page, [Figure("translate", 2500.0, "files/s", 2000, at_least=True, note="n")], "short")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("above\n") and text.endswith("\nbelow\n")
    assert "old" not in text and "| translate | 2,500 files/s | >= 2,000 | PASS | n |" in text
    page.write_text(f"{report.END}\n{report.BEGIN}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        report.write(page, [], "short")


def test_the_message_has_the_results_it_was_asked_for() -> None:
    lines = split(laboratory_message(1, results=30))
    assert [line[0][0] for line in lines[:6]] == ["MSH", "PID", "PV1", "SPM", "OBR", "ORC"]
    assert sum(line[0] == ["OBX"] for line in lines) == 30
    assert laboratory_message(1) != laboratory_message(2)
    assert laboratory_path(1) != laboratory_path(2)


def test_the_clocks_count_every_call() -> None:
    calls: list[int] = []
    spent = best_of(lambda: calls.append(0), runs=3, loops=4)
    assert len(calls) == 12 and 0 <= spent.wall < 1
    side_by_side(lambda: calls.append(1), lambda: calls.append(2), runs=2, loops=1)
    assert calls[12:] == [1, 2, 1, 2]
