"""The v3 endpoints over the real index and a real socket: a stranger's client (zeep) made from the published WSDL, and
answers that come later."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from gateway import app
from gateway.codec import soap
from gateway.ihe import iti55
from gateway.ihe._client import Call, Peer
from gateway.ihe._discovery import Own, Question
from gateway.ihe._later import Deliveries
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Chance, Clock
from gateway.serve.http import create_app
from gateway.settings import Settings
from tests.outbox_fake import FakeOutbox
from tests.v3_parts import (
    HOME,
    MEDICAL,
    OSAKA,
    PERSON,
    REGION,
    TARO,
    TOKYO,
    UNKNOWN,
    code,
    continuation,
    details,
    feed,
    ids_of,
    name_value,
    parameter,
    path_of,
    pdq_query,
    pix_query,
    quantities,
    response_code,
    subjects,
    tid,
    valid,
)

V3 = "urn:hl7-org:v3:"
DISCOVERY = ":CrossGatewayPatientDiscovery"


@dataclass
class Served:
    url: str
    parts: Any

    def ask(self, path: str, action: str, body: bytes, status: int = 200) -> etree._Element:
        envelope = soap.request(V3 + action, "urn:uuid:a", self.url, body)
        response = requests.post(self.url + path, data=envelope, headers={"Content-Type": soap.MEDIA_TYPE}, timeout=20)
        assert response.status_code == status, response.content
        (found,) = etree.fromstring(response.content)[1]
        valid(found)
        return found

    def tell(self, name: str, *ids: Any, **changes: Any) -> etree._Element:
        return self.ask("/pixv3", name, feed(name, *ids, **changes))


ADD, REVISE, MERGE = (f"PRPA_IN20130{n}UV02" for n in (1, 2, 4))
PIX, PDQ = "PRPA_IN201309UV02", "PRPA_IN201305UV02"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with an empty store behind waitress on a free loopback port."""
    waitress = pytest.importorskip("waitress")
    settings = Settings.model_validate(
        {
            "directory": tmp_path_factory.mktemp("node"),
            "security": {"mode": "open"},
            "community": {"id": HOME, "affinity_domain": REGION},
            "authorities": [
                {"oid": TOKYO, "namespace": "TOKYO-HP"},
                {"oid": OSAKA, "namespace": "OSAKA-HP"},
                {"oid": MEDICAL, "namespace": "MEDICAL-ID", "kind": "medical-id"},
            ],
        }
    )
    with app.storage(settings) as parts, requests.Session() as session:
        later = Deliveries(session, FakeOutbox())
        flask = create_app(app.Node(settings, parts).http({"http": lambda: True}, later=later))
        server = waitress.create_server(flask, host="127.0.0.1", port=0, threads=4)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Served(f"http://127.0.0.1:{server.effective_port}", parts)
        later.close()
        server.close()
        thread.join(timeout=5)


# -- the cases, over the real index ----------------------------------------------------------------------------------


def test_what_is_fed_is_answered_at_once(served: Served) -> None:
    assert code(served.tell(ADD, tid("T1"), tid("M1", MEDICAL))) == "CA"
    assert code(served.tell(ADD, tid("O1", OSAKA), tid("M1", MEDICAL))) == "CA"
    answer = served.ask("/pixv3", PIX, pix_query(tid("T1"), OSAKA))
    assert (code(answer), response_code(answer)) == ("AA", "OK")
    assert ids_of(subjects(answer)[0]) == [(OSAKA, "O1")]
    everything = {root for root, _ in ids_of(subjects(served.ask("/pixv3", PIX, pix_query(tid("T1"))))[0])}
    assert everything == {OSAKA, MEDICAL}
    ours = subjects(served.ask("/pixv3", PIX, pix_query(tid("T1"), REGION)))
    assert [root for root, _ in ids_of(ours[0])] == [REGION]
    for question, number in (
        (pix_query(tid("T9")), 1),
        (pix_query(tid("T1", UNKNOWN)), 1),
        (pix_query(tid("T1"), UNKNOWN), 1),
    ):
        answer = served.ask("/pixv3", PIX, question)
        assert (code(answer), response_code(answer), len(details(answer))) == ("AE", "AE", number)
        assert details(answer)[0][1] == "204"


def test_a_feed_that_fails_stores_nothing(served: Served) -> None:
    answer = served.tell(ADD, tid("X1", UNKNOWN))
    assert (code(answer), details(answer)[0][1]) == ("CE", "204")
    assert details(answer)[0][2][0].endswith("/patient/id[1]/@root")


def test_a_merge_moves_every_link(served: Served) -> None:
    person = PERSON.replace("太郎", "次郎").replace("タロウ", "ジロウ").replace("19840203", "19910304")
    served.tell(ADD, tid("T21"), person=person)
    served.tell(ADD, tid("T22"), tid("M22", MEDICAL), person=person.replace("次郎", "治郎"))
    served.tell(ADD, tid("O22", OSAKA), tid("M22", MEDICAL), person=person)
    assert code(served.tell(MERGE, tid("T21"), prior=(tid("T22"),), person=person)) == "CA"
    (found,) = subjects(served.ask("/pixv3", PIX, pix_query(tid("O22", OSAKA), TOKYO)))
    assert ids_of(found) == [(TOKYO, "T21")]
    assert code(served.ask("/pixv3", PIX, pix_query(tid("T22")))) == "AE"
    assert code(served.tell(MERGE, tid("T21"), prior=(tid("T21"),))) == "CE"
    assert code(served.tell(MERGE, tid("T21"), prior=(tid("T77"),))) == "CE"
    assert code(served.tell(MERGE, tid("T21"), prior=(tid("O22", OSAKA),))) == "CE"


def test_demographics_in_parts(served: Served) -> None:
    for number in range(5):
        person = PERSON.replace("結城", "山田").replace("ユウキ", "ヤマダ").replace("太郎", f"花{'一二三四五'[number]}")
        served.tell(
            ADD, tid(f"Y{number}"), person=person.replace("タロウ", "ハナ").replace("19840203", f"199{number}0101")
        )
    name = parameter("livingSubjectName", name_value("ﾔﾏﾀﾞ"))
    first = served.ask("/pdqv3", PDQ, pdq_query(name, quantity=2))
    assert quantities(first) == (5, 2, 3)
    second = served.ask("/pdqv3", "QUQI_IN000003UV01_Continue", continuation(quantity=10))
    assert quantities(second) == (5, 3, 0)
    seen = [ids_of(one)[0] for one in (*subjects(first), *subjects(second))]
    assert sorted(seen) == [(TOKYO, f"Y{number}") for number in range(5)]
    cancelled = served.ask("/pdqv3", "QUQI_IN000003UV01_Cancel", continuation("QUQI_IN000003UV01_Cancel"))
    assert code(cancelled) == "CA"


def test_demographics_as_they_were_fed(served: Served) -> None:
    (patient,) = subjects(
        served.ask("/pdqv3", PDQ, pdq_query(parameter("livingSubjectId", f'<value root="{TOKYO}" extension="T1"/>')))
    )[:1]
    person = patient.find(path_of("patientPerson"))
    assert person is not None
    assert [one.get("use") for one in person.findall(path_of("name"))] == ["L IDE", "L SYL"]
    assert person.findtext(path_of("addr/streetAddressLine")) == "千代田1-1"
    assert {root for root, _ in ids_of(person, "asOtherIDs/id")} >= {OSAKA, MEDICAL}


def test_an_unknown_domain_of_a_demographics_query(served: Served) -> None:
    scoping = parameter("otherIDsScopingOrganization", f'<value root="{UNKNOWN}"/>')
    answer = served.ask("/pdqv3", PDQ, pdq_query(parameter("livingSubjectName", name_value("結城")), scoping))
    assert (code(answer), response_code(answer), details(answer)[0][1]) == ("AE", "AE", "204")


BORN = parameter("livingSubjectBirthTime", '<value value="19840203"/>')
NAMED = parameter("livingSubjectName", name_value("結城", "太郎"))


@pytest.mark.parametrize(
    "parameters", [[BORN, NAMED], [parameter("livingSubjectId", f'<value root="{MEDICAL}" extension="M1"/>')]]
)
def test_discovery(served: Served, parameters: list[str]) -> None:
    served.tell(ADD, tid("T1"), tid("M1", MEDICAL))
    answer = served.ask("/xcpd", PDQ + DISCOVERY, pdq_query(*parameters))
    assert (code(answer), response_code(answer), len(subjects(answer))) == ("AA", "OK", 1)
    ((root, own),) = ids_of(subjects(answer)[0])
    assert root == REGION
    assert served.parts.identities.enterprise_id(tid(own, REGION), UNRESTRICTED) == own
    nobody = parameter("livingSubjectName", name_value("無い", "名"))
    assert response_code(served.ask("/xcpd", PDQ + DISCOVERY, pdq_query(BORN, nobody))) == "NF"


def test_a_deferred_answer_comes_back_to_ourselves(served: Served) -> None:
    """The node is told to answer to its own /xcpd, which refuses it: nobody there asked."""
    answer = served.ask("/xcpd", f"{PDQ}:Deferred{DISCOVERY}", pdq_query(BORN, NAMED, deferred=f"{served.url}/xcpd"))
    assert (etree.QName(answer).localname, code(answer)) == ("MCCI_IN000002UV01", "CA")


def test_answers_that_come_later_over_a_socket(served: Served) -> None:
    """Asynchronous and deferred, to a listener on this machine."""
    served.tell(ADD, tid("T1"), tid("M1", MEDICAL))
    came: queue.Queue[bytes] = queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        here = f"http://127.0.0.1:{server.server_port}/later"
        receipt = served.ask("/xcpd", f"{PDQ}:Deferred{DISCOVERY}", pdq_query(BORN, NAMED, deferred=here))
        assert code(receipt) == "CA"
        deferred = etree.fromstring(came.get(timeout=10))[1][0]
        valid(deferred)
        question = soap.request(f"{V3}{PDQ}{DISCOVERY}", "urn:uuid:c", served.url, pdq_query(BORN, NAMED))
        question = question.replace(soap.ANONYMOUS.encode(), here.encode(), 1)
        response = requests.post(
            f"{served.url}/xcpd", data=question, headers={"Content-Type": soap.MEDIA_TYPE}, timeout=20
        )
        assert (response.status_code, response.content) == (202, b"")
        envelope = etree.fromstring(came.get(timeout=10))
        valid(envelope[1][0])
        assert envelope.findtext(f".//{{{soap.WSA}}}RelatesTo") == "urn:uuid:c"
        assert [response_code(one) for one in (deferred, envelope[1][0])] == ["OK", "OK"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_our_client_asks_over_a_socket(served: Served) -> None:
    served.tell(ADD, tid("T1"), tid("M1", MEDICAL))
    peer = Peer(HOME, "", "Tokyo", xcpd=f"{served.url}/xcpd")
    own = Own("urn:oid:1.2.392.200119.99999.20", "1.2.392.200119.99999.20", "1.2.392.200119.99999.20.1")
    with requests.Session() as session:
        found = iti55.ask(
            peer, Question(TARO, (tid("7", own.affinity_domain),)), own, Call(session, Clock(), Chance()), 10
        )
    assert found.outcome == "found"
    body = (
        '<PatientLocationQueryRequest xmlns="urn:ihe:iti:xcpd:2009"><RequestedPatientId'
        f' root="{REGION}" extension="{found.matches[0].patient.value}"/></PatientLocationQueryRequest>'
    )
    envelope = soap.request("urn:ihe:iti:2009:PatientLocationQuery", "urn:uuid:b", served.url, body.encode())
    response = requests.post(f"{served.url}/xcpd", data=envelope, headers={"Content-Type": soap.MEDIA_TYPE}, timeout=20)
    homes = [one.text for one in etree.fromstring(response.content).iter("{urn:ihe:iti:xcpd:2009}HomeCommunityId")]
    assert homes == [HOME, own.home]


def test_feeds_and_questions_leave_one_record_each(served: Served) -> None:
    def count() -> int:
        with served.parts.engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one())

    before = count()
    served.tell(REVISE, tid("T1"), tid("M1", MEDICAL))
    served.ask("/pixv3", PIX, pix_query(tid("T1")))
    served.tell(ADD, tid("X1", UNKNOWN))
    assert count() == before + 3


# -- a stranger's client ---------------------------------------------------------------------------------------------


def stranger(shared: Path, wsdl: str, binding: str, url: str) -> Any:
    zeep = pytest.importorskip("zeep")
    client = zeep.Client(str(shared / "schemas" / "wsdl" / "hl7v3" / wsdl))  # made to send WS-Addressing by its WSDL
    return client, client.create_service(binding, url)


def sent(client: Any, service: Any, operation: str, body: bytes) -> etree._Element:
    """The WSDL's element is anyType: its attributes and children go in as they are."""
    root = etree.fromstring(body)
    with client.settings(raw_response=True):
        wanted = client.get_element(f"{{urn:hl7-org:v3}}{etree.QName(root).localname}")
        message = client.create_message(service, operation, wanted())
        place = message.find(".//{http://www.w3.org/2003/05/soap-envelope}Body")
        for child in list(place):
            place.remove(child)
        place.append(root)
        response = client.transport.post_xml(
            service._binding_options["address"], message, {"Content-Type": soap.MEDIA_TYPE}
        )
    assert response.status_code == 200, response.content
    (found,) = etree.fromstring(response.content)[1]
    valid(found)
    return found


@pytest.mark.oracle
def test_a_stranger_feeds_and_queries(served: Served, shared: Path) -> None:
    client, source = stranger(
        shared, "iti44/iti44-pix-raw.wsdl", "{urn:ihe:iti:pixv3:2007}PIXManager_Binding_Soap12", f"{served.url}/pixv3"
    )
    for name, ids, prior in ((ADD, "Z1", ()), (ADD, "Z2", ()), (REVISE, "Z1", ()), (MERGE, "Z1", (tid("Z2"),))):
        person = PERSON.replace("結城", "佐々木").replace("ユウキ", "ササキ")
        body = feed(name, tid(ids), tid("MZ", MEDICAL), prior=prior, person=person)
        assert code(sent(client, source, f"PIXManager_{name}", body)) == "CA"
    client, manager = stranger(
        shared, "iti45/iti45-raw.wsdl", "{urn:ihe:iti:pixv3:2007}PIXManager_Binding_Soap12", f"{served.url}/pixv3"
    )
    answer = sent(client, manager, f"PIXManager_{PIX}", pix_query(tid("Z1"), MEDICAL))
    assert ids_of(subjects(answer)[0]) == [(MEDICAL, "MZ")]


@pytest.mark.oracle
def test_a_stranger_looks_people_up(served: Served, shared: Path) -> None:
    served.tell(ADD, tid("T1"), tid("M1", MEDICAL))
    client, supplier = stranger(
        shared, "iti47/iti47-raw.wsdl", "{urn:ihe:iti:pdqv3:2007}PDSupplier_Binding_Soap12", f"{served.url}/pdqv3"
    )
    answer = sent(client, supplier, f"PDSupplier_{PDQ}", pdq_query(NAMED, quantity=1))
    assert (response_code(answer), len(subjects(answer))) == ("OK", 1)
    answer = sent(client, supplier, "PDSupplier_QUQI_IN000003UV01_Continue", continuation())
    assert code(answer) == "AA"
    body = continuation("QUQI_IN000003UV01_Cancel")
    assert code(sent(client, supplier, "PDSupplier_QUQI_IN000003UV01_Cancel", body)) == "CA"


@pytest.mark.oracle
def test_a_stranger_discovers(served: Served, shared: Path) -> None:
    served.tell(ADD, tid("T1"), tid("M1", MEDICAL))
    client, gateway = stranger(
        shared, "iti55/iti55-raw.wsdl", "{urn:ihe:iti:xcpd:2009}RespondingGateway_Binding_Soap12", f"{served.url}/xcpd"
    )
    answer = sent(client, gateway, f"RespondingGateway_{PDQ}", pdq_query(BORN, NAMED))
    assert (response_code(answer), len(subjects(answer))) == ("OK", 1)


@pytest.mark.parametrize("path", ["/pixv3", "/pdqv3", "/xcpd"])
def test_every_endpoint_describes_itself(served: Served, path: str) -> None:
    response = requests.get(f"{served.url}{path}?wsdl", timeout=10)
    root = etree.fromstring(response.content)
    assert (response.status_code, etree.QName(root).localname) == (200, "definitions")
