"""`musubi init`: a configuration that works as it is, and whose comments are true."""

import re
from pathlib import Path
from typing import Any

from gateway.settings import check_may_serve, load


def test_what_it_writes_can_be_loaded_and_served(musubi: Any, tmp_path: Path) -> None:
    result = musubi("init", "node/東京")
    config = tmp_path / "node" / "東京" / "musubi.toml"
    assert result.code == 0 and "musubi ingest --config node/東京/musubi.toml" in result.out.decode()
    settings = load(config, {})
    check_may_serve(settings)
    assert settings.directory == config.parent and settings.authorities == () and settings.peers == ()


def test_what_it_has_commented_out_works_too(musubi: Any, tmp_path: Path) -> None:
    musubi("init")
    config = tmp_path / "musubi.toml"
    text = re.sub(r"^# (?=\[\[|[a-z]+(_s)? = )", "", config.read_text("utf-8"), flags=re.MULTILINE)
    config.write_text(text, "utf-8")
    settings = load(config, {})
    assert [one.kind for one in settings.authorities] == ["facility", "medical-id"] and len(settings.peers) == 1


def test_one_that_is_there_is_left_alone(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "musubi.toml").write_text("mine")
    result = musubi("init", ".")
    assert result.code == 2 and "exists already" in result.err
    assert (tmp_path / "musubi.toml").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    result = musubi("init", "x")
    assert result.code == 2 and result.err.startswith("musubi: x: ") and "Traceback" not in result.err


def test_the_next_steps_it_names_work(musubi: Any, tokyo: Path) -> None:
    musubi("init", "n")
    assert musubi("ingest", "--config", "n/musubi.toml", tokyo).code == 0
    assert musubi("doctor", "--config", "n/musubi.toml").code == 0
