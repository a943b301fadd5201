"""What all commands share: help, wrong usage, exit codes, one line for an error."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli import _frame, app
from gateway.errors import ERRORS, BadInput, ConfigurationError, GatewayError, Unavailable

COMMANDS = (
    "audit", "consent", "convert", "demo", "doctor", "export", "ingest", "init", "mapping", "match", "notifications",
    "person", "pki", "query", "report", "sbom", "serve", "sign", "validate", "verify",
)  # fmt: skip


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command `fail` that raises what the test wants."""
    raises: list[BaseException] = []

    def fail() -> None:
        raise raises[0]

    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    app.command(name="fail")(fail)
    return raises


def test_the_list_of_commands_here_is_the_one_of_the_program() -> None:
    commands: Any = typer.main.get_command(app)
    assert sorted(commands.commands) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(musubi: Any, command: str, word: str) -> None:
    result = musubi(command, word)
    assert result.code == 0 and f"musubi {command}" in result.out.decode() and result.err == ""


def test_without_arguments_the_help_is_shown_and_it_was_wrong_usage(musubi: Any) -> None:
    result = musubi()
    assert result.code == 2
    assert all(command in result.out.decode() for command in COMMANDS)


def test_the_version(musubi: Any) -> None:
    result = musubi("--version")
    assert result.code == 0 and re.fullmatch(rb"musubi \d+[^\n]*\n", result.out)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["convrt"], "convrt"),
        (["convert"], "FILE"),
        (["convert", "--nix", "x"], "--nix"),
        (["--nix"], "--nix"),
        (["query"], "--patient"),
        (["ingest", "--workers", "many", "x"], "--workers"),
        (["ingest", "--workers", "-1", "x"], "--workers"),
        (["demo", "--port", "80"], "--port"),
    ],
)
def test_wrong_usage_is_2_and_names_what_is_wrong(musubi: Any, arguments: list[str], word: str) -> None:
    result = musubi(*arguments)
    assert result.code == 2 and result.out == b""
    assert word in result.err and "Traceback" not in result.err


@pytest.mark.parametrize("command", ["convert", "validate", "ingest"])
def test_a_path_that_is_not_there(musubi: Any, tmp_path: Path, command: str) -> None:
    result = musubi(command, "nix/あ")
    assert (result.code, result.err) == (2, "musubi: nix/あ: no such file or folder\n")
    assert list(tmp_path.iterdir()) == [], "nothing was done"


@pytest.mark.parametrize("error", [BadInput, Unavailable, ConfigurationError, GatewayError])
def test_a_failure_of_ours_is_one_line_and_the_exit_code_of_the_table(
    musubi: Any, failing: Any, error: type[GatewayError]
) -> None:
    failing.append(error("the words"))
    assert musubi("fail") == (ERRORS[error].exit, b"", "musubi: the words\n")


def test_an_error_of_the_program_is_70_with_a_reference_and_without_its_text(musubi: Any, failing: Any) -> None:
    failing.append(RuntimeError("山田花子"))
    result = musubi("fail")
    assert result.code == 70
    assert re.fullmatch(r"musubi: internal error [0-9a-f]{8} \(RuntimeError\); --debug shows where\n", result.err)


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(musubi: Any, failing: Any, arguments: list[str]) -> None:
    failing.append(RuntimeError("boom"))
    result = musubi(*arguments)
    assert result.code == 70 and "Traceback" in result.err and "boom" in result.err


def test_debug_holds_for_one_run(musubi: Any, failing: Any) -> None:
    failing.append(RuntimeError("boom"))
    musubi("--debug", "fail")
    assert "Traceback" not in musubi("fail").err


def test_debug_after_a_double_dash_is_a_file_name(musubi: Any) -> None:
    assert musubi("convert", "--", "--debug").err == "musubi: --debug: no such file or folder\n"


def test_a_refusal_of_the_system_is_told_in_its_words(musubi: Any, failing: Any) -> None:
    failing.append(PermissionError(13, "Permission denied", "/x/y"))
    assert musubi("fail") == (2, b"", "musubi: /x/y: Permission denied\n")


def test_an_oserror_that_is_none_of_the_system_is_ours(musubi: Any, failing: Any) -> None:
    failing.append(OSError("a library's own words"))
    assert musubi("fail").code == 70


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c(musubi: Any, failing: Any, error: BaseException) -> None:
    failing.append(error)
    assert musubi("fail").code == 130


def test_an_exit_code_passes_through(musubi: Any, failing: Any) -> None:
    failing.append(typer.Exit(3))
    assert musubi("fail").code == 3


def test_without_a_configuration_the_one_of_this_folder_counts(musubi: Any, tmp_path: Path) -> None:
    assert _frame.settings_of(None).security.mode == "open"
    (tmp_path / "musubi.toml").write_text("[http]\nport = 1234\n")
    assert _frame.settings_of(None).http.port == 1234


@pytest.mark.parametrize(
    ("name", "seen"), [("a\nb", "a\\nb"), ("検査", "検査"), (os.fsdecode(b"\x8c\x9f"), "\\udc8c\\udc9f")]
)
def test_a_path_is_shown_on_one_line(name: str, seen: str) -> None:
    assert _frame.shown(Path(name)) == seen


def test_a_name_that_is_no_utf_8_can_be_written_as_json() -> None:
    assert _frame.name_of(Path(os.fsdecode(b"\x8c\x9f/x\n"))) == "\\udc8c\\udc9f/x\n"


def test_the_reader_of_the_output_may_go_away(start: Any, tokyo: Path) -> None:
    reader, writer = os.pipe()
    process = start("convert", tokyo, stdout=writer)
    os.close(writer)
    assert os.read(reader, 1) == b"{"
    os.close(reader)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 0 and b"Error" not in words and b"Traceback" not in words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_the_output_is_an_error(start: Any, basics: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = start("convert", basics, stdout=full)
        _, words = process.communicate(timeout=60)
    assert process.returncode == 2 and b"musubi: No space left on device" in words and b"Traceback" not in words


def test_as_a_program(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "gateway.cli", "convrt"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2 and b"convrt" in done.stderr


def test_a_terminal_that_knows_no_japanese(tmp_path: Path, environment: dict[str, str], basics: Path) -> None:
    latin = {**environment, "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    for arguments in (["--help"], ["convert", str(basics)], ["convert", "あ"]):
        command = [sys.executable, "-m", "gateway.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=latin, capture_output=True, check=False, timeout=60)
        assert done.returncode == (2 if arguments[-1] == "あ" else 0)
        assert b"internal error" not in done.stderr


def test_help_loads_nothing_heavy(tmp_path: Path, environment: dict[str, str]) -> None:
    program = (
        "import sys, gateway.cli; print(sorted({'gateway.app', 'sqlalchemy', 'flask', 'requests'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"[]\n"
