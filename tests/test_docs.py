"""Documentation and program say the same: commands, options, settings, decisions, change notes, links."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

from gateway.cli import app
from gateway.errors import ERRORS
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ADR = DOCS / "adr"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "changes/*.md", "fixtures/*.md", "mappings/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
) + sorted((ROOT / "gateway").rglob("*.md"))


# -- commands ---------------------------------------------------------------------------------------------------------


def options_of_the_program() -> dict[str, set[str]]:
    commands: Any = get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in commands.commands.items()
    }


def options_of_the_page(page: str) -> dict[str, set[str]]:
    """Rows of the option tables, by section."""
    sections = re.split(r"^## `musubi ([a-z]+)`$", page, flags=re.MULTILINE)[1:]
    tables = zip(sections[::2], sections[1::2], strict=True)
    return {
        name: {option for row in re.findall(r"^\| (`--.*?) \|", text, re.MULTILINE) for option in _options(row)}
        for name, text in tables
    }


def _options(text: str) -> list[str]:
    return re.findall(r"--[a-z][a-z-]*", text)


def test_every_command_and_option_has_its_row_and_no_row_is_without_one() -> None:
    assert options_of_the_page((DOCS / "commands.md").read_text("utf-8")) == options_of_the_program()


def test_the_reader_of_the_page_sees_options_by_section() -> None:
    page = "## `musubi a`\n| option | meaning |\n| `--x`, `-y` | with `--z` |\n## Other\n## `musubi b`\n"
    assert options_of_the_page(page) == {"a": {"--x"}, "b": set()}


def test_every_exit_code_is_explained() -> None:
    page = (DOCS / "commands.md").read_text("utf-8").split("## Exit codes")[1].split("## ")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert {codes.exit for codes in ERRORS.values()} <= listed


# -- settings ---------------------------------------------------------------------------------------------------------


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        inner = getattr(field.annotation, "__args__", (field.annotation,))[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys_of(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, "required" if field.is_required() else field.default


def rows_of_the_configuration() -> dict[str, str]:
    page = (DOCS / "configuration.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)+)` \| (.*?) \|", page, re.MULTILINE))


def test_every_setting_has_its_row_and_no_row_is_without_one() -> None:
    assert sorted(rows_of_the_configuration()) == sorted(key for key, _ in keys_of(Settings))


@pytest.mark.parametrize(("key", "default"), list(keys_of(Settings)))
def test_the_value_of_a_setting_that_is_not_set(key: str, default: Any) -> None:
    said = rows_of_the_configuration()[key]
    if default in ("", (), {}):
        assert said in ("empty", "none")
    elif default == "required":
        assert said == "required"
    else:
        written = f"`{json.dumps(default)}`" if isinstance(default, tuple) else f"`{default}`"
        assert said.startswith((written, f"`{default}`"))


# -- decisions and change notes ---------------------------------------------------------------------------------------


def test_every_decision_is_in_the_index_and_the_index_holds_nothing_else() -> None:
    index = re.findall(r"^\| \[(\d{4})\]\((.*?)\) \| (.*?) \|$", (ADR / "README.md").read_text("utf-8"), re.MULTILINE)
    files = sorted(path for path in ADR.glob("*.md") if path.name != "README.md")
    assert [f"# {number} {title}" for number, _, title in index] == [_first_line(path) for path in files]
    assert [name for _, name, _ in index] == [path.name for path in files]


@pytest.mark.parametrize("path", sorted(ADR.glob("[0-9]*.md")), ids=lambda path: path.name[:4])
def test_a_decision_has_its_number_and_its_parts(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.search(r"^Status: (accepted|replaced by \d{4})\. Date: \d{4}-\d\d-\d\d\.$", text, re.MULTILINE)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Context", "Choice", "Cost", "How we would notice that it was wrong",
    ]  # fmt: skip
    assert len(text.splitlines()) <= 60, "one page"


@pytest.mark.parametrize("path", sorted((ROOT / "changes").glob("*")), ids=lambda path: path.name)
def test_a_change_note_is_one_sentence(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|security)\.md", path.name)
    text = path.read_text("utf-8")
    assert text.count("\n") == 1 and text.endswith(".\n")


# -- all pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_no_page_names_a_folder_of_some_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert broken == []
    assert re.findall(r"(?<![\w.:/<>*-])/(?:home|root|work|tmp|opt|Users)/\S*", text) == []


def _first_line(path: Path) -> str:
    return path.read_text("utf-8").split("\n", 1)[0]
