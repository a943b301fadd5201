"""IPF, a stranger's client, asks a node over a socket; its own validators judge every request and every answer."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import ihe
from gateway.model.caller import Caller
from gateway.model.identity import PatientId
from tests.ihe.registry_parts import NAMES, A, B, Registry, number, registry, unique
from tests.storage.making import DOMAIN
from tests.xds_parts import HOME, REPOSITORY

HERE = Path(__file__).parent / "ipf"
MAVEN_S = 600
ANSWER_S = 120

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Class path of the compiled client. Skips when Java, Maven or the network are not there."""
    if not shutil.which("java") or not shutil.which("javac"):
        pytest.skip("no Java (17) on the path")
    folder = tmp_path_factory.mktemp("ipf")
    libraries = os.environ.get("MUSUBI_IPF_CLASSPATH") or _resolved(folder)
    command = ["javac", "-proc:none", "-d", str(folder / "classes"), "-cp", libraries, *map(str, HERE.glob("*.java"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAVEN_S)
    assert done.returncode == 0, done.stderr
    return f"{folder / 'classes'}{os.pathsep}{libraries}"


def _resolved(folder: Path) -> str:
    """What Maven makes of pom.xml: first from what it has, then from the network."""
    if not shutil.which("mvn"):
        pytest.skip("no Maven on the path and no MUSUBI_IPF_CLASSPATH")
    shutil.copy(HERE / "pom.xml", folder)
    written = folder / "classpath"
    for offline in (["-o"], []):
        command = ["mvn", "-q", "-B", *offline, "dependency:build-classpath", f"-Dmdep.outputFile={written}"]
        environment = {**os.environ, "MAVEN_OPTS": "-Xmx256m"}
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=MAVEN_S)
        if written.is_file():
            return written.read_text("utf-8").strip()
    pytest.skip("Maven cannot resolve IPF: neither in its repository nor from the network")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(scope="module")
def port(held: Registry) -> Iterator[int]:
    """The registry behind waitress on a free loopback port."""
    waitress = pytest.importorskip("waitress")

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, kind = environ["PATH_INFO"], environ.get("CONTENT_TYPE", "")
        wire = ihe.dispatch(path, kind, environ["wsgi.input"], held.services, Caller(node="ipf"))
        start_response(f"{wire.status} X", wire.headers)
        return wire.body

    server = waitress.create_server(application, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    thread.join(timeout=5)


class Ipf:
    """The client's process: one line in, one line out."""

    def __init__(self, class_path: str, port: int, errors: Path) -> None:
        self._port = port
        self._errors = errors.open("w")
        command = ["java", "-Xmx512m", "-cp", class_path, "Client"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def _say(self, *fields: str) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\t".join(fields) + "\n")
        process.stdin.flush()
        watch = threading.Timer(ANSWER_S, process.kill)
        watch.start()
        try:
            # Camel may write a line of its own before the first answer.
            line = next((line for line in process.stdout if line.startswith("{")), "")
        finally:
            watch.cancel()
        assert line, "IPF ended; see its errors"
        said: dict[str, Any] = json.loads(line)
        assert "exception" not in said, said
        return said

    def ask(
        self, query: str, *given: str, returns: str = "LeafClass", scheme: str = "xds-iti18", path: str = ""
    ) -> dict[str, Any]:
        path = path or ("/xca" if scheme == "xca-iti38" else "/xds/registry")
        return self._say("query", f"{scheme}://127.0.0.1:{self._port}{path}", query, returns, *given)

    def retrieve(self, *unique_ids: str) -> dict[str, Any]:
        return self._say("retrieve", f"xds-iti43://127.0.0.1:{self._port}/xds/repository", REPOSITORY, *unique_ids)

    def retrieve_of(self, place: str, *unique_ids: str, scheme: str, path: str) -> dict[str, Any]:
        """`place`: repositoryUniqueId,homeCommunityId"""
        return self._say("retrieve", f"{scheme}://127.0.0.1:{self._port}{path}", place, *unique_ids)

    def change(self, verb: str, number: int, *given: str) -> dict[str, Any]:
        path = "repository" if number == 41 else "registry"
        return self._say(verb, f"xds-iti{number}://127.0.0.1:{self._port}/xds/{path}", *given)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        self._errors.close()


@pytest.fixture(scope="module")
def ipf(class_path: str, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ipf]:
    client = Ipf(class_path, port, tmp_path_factory.mktemp("log") / "ipf.log")
    yield client
    client.close()


def names(said: dict[str, Any]) -> str:
    """Everything of an answer by short name; what came as a file is `file`, its set and associations likewise."""
    kinds = {"documents": "file", "sets": "set", "folders": "folder", "associations": "tie", "references": "ref"}
    found = [NAMES.get(uuid, other) for kind, other in kinds.items() for uuid in said[kind]]
    return " ".join(sorted(found))


def uuids(*of: str) -> str:
    return "uuids=" + ",".join(map(number, of))


OF_A, OF_BOTH = f"patient={A}", f"patient={A},{B}"
QUESTIONS: list[tuple[str, tuple[str, ...], str]] = [
    ("FindDocuments", (OF_A,), "D1 D2 D3 D3b D4 O1 file file"),
    ("FindDocuments", (OF_A, "classCode=b,urn:c"), "D2"),
    ("FindDocuments", (OF_A, "from=20210601"), "D4 file file"),
    ("FindDocumentsByReferenceId", (OF_A, "references=ref-D2^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order"), "D2"),
    ("FindSubmissionSets", (OF_A,), "S1 S2 set"),
    ("FindSubmissionSets", (OF_A, "sources=1.2.3.5"), "S2"),
    ("FindFolders", (OF_A,), "F1"),
    ("GetAll", (OF_A,), "D1 D2 D3 D3b D4 F1 S1 S2 d3-d1 f1-d1 file file s1-(f1-d1) s1-d1 s1-d2 s1-f1 s2-d3 s2-d4 set tie tie tie"),
    ("GetDocuments", (uuids("D1", "D2"),), "D1 D2"),
    ("GetDocuments", (f"uniqueIds={unique('D4')}",), "D4"),
    ("GetFolders", (uuids("F1"),), "F1"),
    ("GetAssociations", (uuids("D1"),), "d3-d1 f1-d1 s1-d1"),
    ("GetDocumentsAndAssociations", (uuids("D1"),), "D1 d3-d1 f1-d1 s1-d1"),
    ("GetSubmissionSets", (uuids("D1"),), "S1 s1-d1"),
    ("GetSubmissionSetAndContents", (uuids("S1"),), "D1 D2 F1 S1 f1-d1 s1-(f1-d1) s1-d1 s1-d2 s1-f1"),
    ("GetFolderAndContents", (f"uniqueIds={unique('F1')}",), "D1 F1 f1-d1"),
    ("GetFoldersForDocument", (uuids("D1"),), "F1"),
    ("GetRelatedDocuments", (uuids("D1"),), "D1 D3 d3-d1"),
]  # fmt: skip
MANY: list[tuple[str, tuple[str, ...], str]] = [
    ("FindDocumentsForMultiplePatients", (OF_BOTH,), "D1 D2 D3 D3b D4 E1 file file file file"),
    ("FindFoldersForMultiplePatients", (OF_BOTH,), "F1"),
]


@pytest.mark.parametrize(("query", "given", "answer"), QUESTIONS)
def test_stored_queries(ipf: Ipf, query: str, given: tuple[str, ...], answer: str) -> None:
    said = ipf.ask(query, *given)
    assert (said["status"], said["errors"], names(said)) == ("SUCCESS", [], answer)


@pytest.mark.parametrize(("query", "given", "answer"), MANY)
def test_queries_about_many_patients(ipf: Ipf, query: str, given: tuple[str, ...], answer: str) -> None:
    said = ipf.ask(query, *given, scheme="xds-iti51")
    assert (said["status"], said["errors"], names(said)) == ("SUCCESS", [], answer)


def test_object_references(ipf: Ipf) -> None:
    said = ipf.ask("GetDocuments", uuids("D1", "E1"), returns="ObjectRef")
    assert (said["status"], names(said)) == ("SUCCESS", "D1 E1")


def test_errors_are_understood(ipf: Ipf) -> None:
    said = ipf.ask("GetDocuments", uuids("D1", "E1"))
    assert (said["status"], said["errors"]) == ("FAILURE", ["RESULT_NOT_SINGLE_PATIENT"])


def test_cross_gateway_query(ipf: Ipf) -> None:
    said = ipf.ask("GetDocuments", uuids("D1"), f"home={HOME}", scheme="xca-iti38")
    assert (said["status"], names(said)) == ("SUCCESS", "D1")


def test_documents_are_retrieved(ipf: Ipf, held: Registry) -> None:
    said = ipf.ask("FindDocuments", OF_A)
    files = [uuid for uuid in said["documents"] if uuid not in NAMES]
    entries = held.parts.registry.by_entry_uuid(files, held.scope)
    got = ipf.retrieve(*(entry.uniqueId for entry in entries))
    assert (got["status"], got["errors"]) == ("SUCCESS", [])
    expected = [hashlib.sha256(held.parts.blobs.open(entry.blob).read()).hexdigest() for entry in entries]
    assert sorted(got["sha256"]) == sorted(expected)


# -- submitting, changing, removing ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patient(held: Registry) -> str:
    """Person B, as the affinity domain knows her."""
    eid = held.parts.identities.enterprise_id(B, held.scope)
    assert eid is not None
    return str(PatientId(eid, DOMAIN))


def documents(ipf: Ipf, patient: str) -> set[str]:
    return set(ipf.ask("FindDocuments", f"patient={patient}")["documents"])


def test_a_document_goes_in_and_comes_out(ipf: Ipf, held: Registry, patient: str) -> None:
    before = documents(ipf, patient)
    said = ipf.change("provide", 41, patient, "first")
    assert (said["status"], said["errors"]) == ("SUCCESS", [])
    (uuid,) = documents(ipf, patient) - before
    contents = ipf.ask("GetFoldersForDocument", f"uuids={uuid}")
    assert len(contents["folders"]) == 1
    (entry,) = held.parts.registry.by_entry_uuid([uuid], held.scope)
    got = ipf.retrieve(entry.uniqueId)
    assert got["sha256"] == [hashlib.sha256(b"content of first").hexdigest()]
    # A document in a set, in a folder, and the fact that it is there: all of the set.
    (sets,) = (ipf.ask("GetSubmissionSets", f"uuids={uuid}")["sets"],)
    whole = ipf.ask("GetSubmissionSetAndContents", f"uuids={sets[0]}")
    assert [len(whole[kind]) for kind in ("documents", "folders", "sets", "associations")] == [1, 1, 1, 4]


def test_metadata_alone_is_registered_then_deprecated_then_removed(ipf: Ipf, patient: str) -> None:
    before = documents(ipf, patient)
    assert ipf.change("register", 42, patient, "second", "1.2.3.99")["status"] == "SUCCESS"
    (uuid,) = documents(ipf, patient) - before
    assert ipf.change("deprecate", 57, patient, "third", uuid)["status"] == "SUCCESS"
    said = ipf.ask("GetDocuments", f"uuids={uuid}")
    assert said["documents"] == [uuid]
    refused = ipf.change("remove", 62, uuid)
    assert (refused["status"], refused["errors"]) == ("FAILURE", ["REFERENCE_EXISTS_EXCEPTION"])
    held = ipf.ask("GetSubmissionSets", f"uuids={uuid}")
    removed = ipf.change("remove", 62, uuid, *held["sets"], *held["associations"])
    assert (removed["status"], removed["errors"]) == ("SUCCESS", [])
    assert documents(ipf, patient) == before
