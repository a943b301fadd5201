"""`musubi person`: asked through the running node."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.serve.test_persons_api import patient

TOKYO, OSAKA = "1.2.392.200119.99999.2", "1.2.392.200119.99999.22"
ONE, OTHER = f"0001^^^&{TOKYO}&ISO", f"777^^^&{OSAKA}&ISO"


@pytest.fixture
def running(node: Any, start: Callable[..., Any], free_port: int) -> Iterator[Path]:
    config: Path = node(port=free_port, more='[medical_id]\nagency = "simulator"\n[matching]\nmode = "off"\n')
    process = start("serve", "-c", config)
    try:
        assert b"/fhir" in process.stderr.readline()
        for oid, value in ((TOKYO, "0001"), (OSAKA, "777")):
            address = f"http://127.0.0.1:{free_port}/fhir/Patient?identifier=urn:oid:{oid}|{value}"
            assert requests.put(address, json=patient(oid, value), timeout=10).status_code == 201
        yield config
    finally:
        process.kill()
        process.communicate()


def test_one_person_from_link_to_medical_id(musubi: Any, running: Path) -> None:
    """One node for all of these: starting it is what takes the time."""

    def person(*arguments: str) -> Any:
        return musubi("person", *arguments, "-c", running)

    linked = person("link", ONE, "--other", OTHER, "--reason", "card seen", "--json")
    assert linked.code == 0 and linked.documents[0]["ids"] == [OTHER]
    assert person("unlink", ONE, "--other", OTHER, "--json").documents[0]["ids"] == []
    issued = person("issue", ONE, "--json").documents[0]
    assert issued["state"] == "active" and issued["holders"] == [ONE]
    assert person("suspend", issued["id"], "--reason", "misused").code == 0
    assert "suspended" in person("medical-id", issued["id"]).out.decode()
    shown = person("history", ONE, "--whole").out.decode()
    assert "card seen" in shown and "issued" in shown and "misused" in shown
    assert "ミホンマツ" in person("show", ONE).out.decode()
    refused = person("undo-merge", ONE)
    assert refused.code == 1 and "no merge retired this number" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [("eat", ONE), ("show", "0001"), ("link", ONE), ("show", ONE, "--other", OTHER), ("show", "1^^^&x&ISO")],
)
def test_wrong_usage(musubi: Any, arguments: tuple[str, ...]) -> None:
    assert musubi("person", *arguments).code == 2


def test_nobody_answers(musubi: Any, node: Any, free_port: int) -> None:
    assert musubi("person", "show", ONE, "-c", node(port=free_port)).code == 3
