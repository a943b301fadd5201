""".ci/run runs what README.md says, prints it, and fails when it fails or when there is nothing to run."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(folder: Path, readme: str | None) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    if readme is not None:
        (folder / "README.md").write_text(readme, "utf-8")
    return subprocess.run([folder / ".ci" / "run"], capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize(
    "block",
    [
        "<!-- test-command -->\n```sh\nprintf ok > ran\n```\n",
        "<!-- test-command -->\n```\n$ printf ok > ran\n```\n<!-- /test-command -->\n",
        "<!-- test-command -->\nprintf ok > ran\n<!-- /test-command -->\n",
    ],
)
def test_it_runs_the_command_in_the_project_and_prints_it(tmp_path: Path, block: str) -> None:
    done = run(tmp_path, f"# Title\n```\nfalse\n```\n{block}\n```\nfalse\n```\n")
    assert done.returncode == 0, done.stderr
    assert "+ printf ok > ran" in done.stdout
    assert (tmp_path / "ran").read_text() == "ok"


def test_several_lines_run_in_order_and_the_first_failure_ends_it(tmp_path: Path) -> None:
    done = run(tmp_path, "<!-- test-command -->\n```\ntouch first\nfalse | true\ntouch third\n```\n")
    assert done.returncode != 0
    assert (tmp_path / "first").exists() and not (tmp_path / "third").exists()


@pytest.mark.parametrize("readme", [None, "# no marker\n", "<!-- test-command -->\n```\n```\n"])
def test_nothing_to_run_is_a_failure(tmp_path: Path, readme: str | None) -> None:
    done = run(tmp_path, readme)
    assert done.returncode == 2
    assert "README.md" in done.stderr
