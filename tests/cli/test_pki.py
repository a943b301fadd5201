"""`musubi pki demo`: keys that serve on loopback, and on nothing else."""

import json
from pathlib import Path
from typing import Any


def test_what_it_makes_passes_the_doctor_and_is_not_made_twice(musubi: Any, tmp_path: Path) -> None:
    result = musubi("pki", "demo", "keys", "--json")
    assert result.code == 0
    written = [Path(name).name for name in json.loads(result.out)["written"]]
    assert {"ca.crl.pem", "node-a.key.pem", "node-b.crt.pem", "sts.key.pem", "musubi-enforced.toml"} <= set(written)
    checked = musubi("doctor", "-c", "keys/musubi-enforced.toml", "--json")
    keys = [one for one in json.loads(checked.out)["checks"] if one["check"] in ("configuration", "keys")]
    assert {one["status"] for one in keys} <= {"ok", "warning"} and len(keys) > 5
    again = musubi("pki", "demo", "keys")
    assert again.code == 2 and "never overwritten" in again.err


def test_a_key_that_others_can_read_and_a_list_that_is_over(musubi: Any, tmp_path: Path) -> None:
    musubi("pki", "demo", "keys")
    (tmp_path / "keys" / "node-a.key.pem").chmod(0o644)
    checked = musubi("doctor", "-c", "keys/musubi-enforced.toml", "--json")
    errors = [one["text"] for one in json.loads(checked.out)["checks"] if one["status"] == "error"]
    assert checked.code == 1 and any("node-a.key.pem can be read by others" in text for text in errors)
    (tmp_path / "keys" / "sts.crt.pem").write_text("no certificate")
    checked = musubi("doctor", "-c", "keys/musubi-enforced.toml", "--json")
    assert any("sts.crt.pem" in one["text"] for one in json.loads(checked.out)["checks"] if one["status"] == "error")


def test_demo_keys_do_not_serve_others(musubi: Any, tmp_path: Path, monkeypatch: Any) -> None:
    musubi("pki", "demo", "keys")
    monkeypatch.setenv("MUSUBI_HTTP__HOST", "0.0.0.0")
    result = musubi("serve", "-c", "keys/musubi-enforced.toml")
    assert result.code == 2 and "demo keys" in result.err
    assert not list((tmp_path / "keys").glob("*.db"))


def test_only_demo_keys_are_made_here(musubi: Any) -> None:
    assert musubi("pki", "real", "keys").code == 2
