"""A community that answers from files: the first rule that fits, marks filled in, delays kept."""

from pathlib import Path

import pytest
import requests

from gateway.errors import ConfigurationError, UnknownPatient
from gateway.ihe import iti38
from gateway.ihe._client import Call, Peer
from gateway.ihe._transport import session
from gateway.model.identity import PatientId
from gateway.sandbox.replayer import load, replay
from gateway.sandbox.stub_community import serve
from tests.federation_parts import STUB, stub

REQUEST = b"<soap:Envelope><wsa:MessageID>urn:uuid:recorded</wsa:MessageID><Action>urn:ihe:iti:2007:CrossGatewayQuery</Action>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recorded = stub().answer(REQUEST).body.replace(b"urn:uuid:recorded", b"{MessageID}")
    (tmp_path / "iti38.xml").write_bytes(recorded)
    (tmp_path / "replay.toml").write_text(
        '[[answer]]\naction = "CrossGatewayQuery"\ncontains = "stub-1"\nfile = "iti38.xml"\ndelay_s = 1.5\n'
        '[[answer]]\ncontains = "page"\nfile = "replay.toml"\nstatus = 503\ncontent_type = "text/html"\n',
        "utf-8",
    )
    return tmp_path


def test_a_recorded_answer_answers_the_question_of_today(folder: Path) -> None:
    slept: list[float] = []
    with serve(replay(load(folder), slept.append)) as url:
        question = iti38.FindDocuments(PatientId("stub-1", "1.2.392.200119.99999.80.1"))
        found = iti38.ask(Peer(STUB, url), question, Call(session(1)), 5)
        assert len(found.entries) == 2 and found.findings == () and slept == [1.5]
        with pytest.raises(Exception, match="HTTP 404") as nothing:
            iti38.ask(Peer(STUB, url), question._replace(patient=PatientId("x", "1.2")), Call(session(1)), 5)
        assert not isinstance(nothing.value, UnknownPatient)
        assert requests.post(url, data=b"page", timeout=5).status_code == 503


@pytest.mark.parametrize(
    "text", ["[[answer]]\n", "x", '[[answer]]\nfile = "none"\n', '[[answer]]\nfile = "a"\ndelay_s = "x"\n']
)
def test_a_folder_that_cannot_be_replayed(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        load(tmp_path)
    (tmp_path / "replay.toml").write_text(text, "utf-8")
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ConfigurationError):
        load(tmp_path)
