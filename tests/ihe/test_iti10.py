"""ITI-10: the message, and its way from a feed through the outbox to a listening consumer."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway import app
from gateway.codec.mllp import Decoder, frame
from gateway.errors import ConfigurationError
from gateway.ihe.iti10 import Receiver, control_id, message
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.services.notify import Change
from gateway.translate.context import Facilities
from tests.oracle_v2 import check_structure
from tests.pix_parts import MEDICAL, OSAKA, TOKYO, adt, feed, field, pid
from tests.v2_parts import ARC, NOW, node, rows, settings

RECEIVER = Receiver("his", "127.0.0.1", 1, "HIS", "TOKYO", frozenset(), 2.0)
A1, B1, M1 = PatientId("A1", f"{ARC}.2"), PatientId("B1", f"{ARC}.22"), PatientId("M1", f"{ARC}.3")
FIND = Facilities(settings(Path()).known_authorities).find


def made(change: Change, receiver: Receiver = RECEIVER) -> list[str]:
    return message(change, receiver, NOW, f"{ARC}.1", FIND).decode().rstrip("\r").split("\r")


def test_every_id_of_the_person_in_one_pid() -> None:
    lines = made(Change("7", (A1, B1, M1), ()))
    assert [line[:3] for line in lines] == ["MSH", "EVN", "PID", "PV1"]
    assert (field(lines[0], 9), field(lines[0], 12)) == ("ADT^A31^ADT_A05", "2.5")
    assert (field(lines[0], 5), field(lines[0], 6)) == ("HIS", "TOKYO")
    assert field(lines[2], 3) == f"A1^^^{TOKYO}~B1^^^{OSAKA}~M1^^^{MEDICAL}"
    assert field(lines[2], 5) == " "
    # hl7apy takes a blank for nothing; HL7 v2.5 2.5.3 does not.
    check_structure({"": [line.replace("|| ", "||x") for line in lines]}, "ADT_A05")


def test_the_consumers_domains_alone_and_an_empty_list_when_all_are_gone() -> None:
    some = RECEIVER._replace(domains=frozenset({B1.authority}))
    assert field(made(Change("7", (A1, B1), ()), some)[2], 3) == f"B1^^^{OSAKA}"
    assert field(made(Change("7", (), (B1,)), some)[2], 3) == ""


def test_the_control_id_is_that_of_the_change() -> None:
    change = Change("7", (A1,), ())
    assert control_id(change, RECEIVER) == control_id(Change("7", (B1,), ()), RECEIVER)
    assert control_id(change, RECEIVER) != control_id(Change("8", (A1,), ()), RECEIVER)
    assert control_id(change, RECEIVER) != control_id(change, RECEIVER._replace(name="ris"))
    assert len(control_id(change, RECEIVER)) <= 20


@contextmanager
def consumer(reply: Callable[[str, int], bytes]) -> Iterator[tuple[int, list[str]]]:
    """A listener that answers each message with `reply(control id, how many came before)`."""
    got: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    decoder, blocks = Decoder(100_000), []
                    while not blocks and (data := connection.recv(65536)):
                        blocks = decoder.feed(data)
                    for block in blocks:
                        text = block.data.decode()
                        got.append(text)
                        answer = reply(field(text.split("\r")[0], 10), len(got) - 1)
                        if answer:
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], got
        finally:
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def ack(code: str) -> Callable[[str, int], bytes]:
    return lambda id_, _: frame(f"MSH|^~\\&|H|T|G|R|2026||ACK^A31^ACK|9|P|2.5\rMSA|{code}|{id_}\r".encode())


class Hands:
    """A clock one can turn."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self):
        return self.now


@contextmanager
def linked(directory: Path, port: int, clock: Clock, **more: object) -> Iterator[tuple[app.Node, object]]:
    """A node with one consumer, after a feed that linked A1 and B1."""
    notify = [{"name": "his", "host": "127.0.0.1", "port": port, "timeout_s": 2, **more}]
    chosen = settings(directory, notify=notify, matching={"mode": "off"})
    with app.storage(chosen, clock) as parts:
        one = app.Node(chosen, parts, clock)
        services = one.v2()
        for number in (f"A1^^^{TOKYO}", f"B1^^^{OSAKA}"):
            assert feed(services, adt("A04", pid(f"{number}~M1^^^{MEDICAL}"))) == "AA"
        yield one, services


def test_a_link_is_told_once(tmp_path: Path) -> None:
    with consumer(ack("AA")) as (port, got), linked(tmp_path, port, Clock(lambda: NOW)) as (one, _):
        notifier = one.notifiers()[0]
        assert notifier.run_once() is True and notifier.run_once() is False
        last = got[-1].split("\r")[2]
        assert {f"A1^^^{TOKYO}", f"B1^^^{OSAKA}", f"M1^^^{MEDICAL}"} <= set(field(last, 3).split("~"))
        count = len(got)
        assert one.notifiers()[0].run_once() is False and len(got) == count  # after a restart
        assert rows(one.parts, "SELECT count(*) FROM outbox WHERE kind = 'identity-changed' AND done IS NULL") == [(0,)]
        sent = rows(one.parts, "SELECT event, action, outcome, actor FROM audit WHERE \"transaction\" = 'ITI-10'")
        assert sent and set(sent) == {("110110", "R", 0, "his")}


def test_a_merge_is_told(tmp_path: Path) -> None:
    with consumer(ack("CA")) as (port, got), linked(tmp_path, port, Clock(lambda: NOW)) as (one, services):
        notifier = one.notifiers()[0]
        notifier.run_once()
        feed(services, adt("A04", pid(f"A2^^^{TOKYO}")))
        got.clear()
        feed(services, adt("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", time="20260103000000"))
        assert notifier.run_once() is True
        assert any(f"A2^^^{TOKYO}" in text and f"B1^^^{OSAKA}" in text and "A1^^^" not in text for text in got)


def test_a_consumer_that_is_away_gets_it_later_and_in_order(tmp_path: Path) -> None:
    hands = Hands()
    with consumer(ack("AA")) as (port, got):
        pass
    with linked(tmp_path, port, Clock(hands)) as (one, _):
        notifier = one.notifiers()[0]
        assert notifier.run_once() is False and got == []
        assert rows(one.parts, "SELECT count(*) > 0 FROM outbox WHERE kind = 'identity-changed' AND done IS NULL") == [
            (1,)
        ]


def test_silence_is_asked_again_after_a_pause(tmp_path: Path) -> None:
    hands = Hands()
    first_is_lost: Callable[[str, int], bytes] = lambda id_, before: ack("AA")(id_, 0) if before else b""  # noqa: E731
    with consumer(first_is_lost) as (port, got), linked(tmp_path, port, Clock(hands)) as (one, _):
        notifier = one.notifiers()[0]
        assert notifier.run_once() is False and len(got) == 1
        assert notifier.run_once() is False and len(got) == 1  # too early
        hands.now = hands.now.replace(second=30)
        assert notifier.run_once() is True
        assert field(got[0].split("\r")[0], 10) == field(got[1].split("\r")[0], 10)


def test_a_refused_change_is_parked_and_the_next_one_goes_out(tmp_path: Path) -> None:
    hands = Hands()
    refuses_first: Callable[[str, int], bytes] = lambda id_, before: ack("AE" if before < 3 else "AA")(id_, 0)  # noqa: E731
    with consumer(refuses_first) as (port, got), linked(tmp_path, port, Clock(hands)) as (one, services):
        feed(services, adt("A04", pid(f"A3^^^{TOKYO}~M3^^^{MEDICAL}")))
        feed(services, adt("A04", pid(f"B3^^^{OSAKA}~M3^^^{MEDICAL}")))
        notifier = one.notifiers()[0]
        for minute in range(1, 6):
            hands.now = hands.now.replace(minute=hands.now.minute + minute)
            notifier.run_once()
        outcomes = rows(one.parts, "SELECT outcome, detail FROM audit WHERE \"transaction\" = 'ITI-10' ORDER BY n")
        assert outcomes[0][0] == 8 and "parked" in outcomes[0][1]
        assert outcomes[-1] == (0, "sent") and len(got) >= 4


def test_an_answer_to_something_else_is_no_answer(tmp_path: Path) -> None:
    other = ack("AA")
    with (
        consumer(lambda id_, before: other("OTHER", before)) as (port, _),
        linked(tmp_path, port, Clock(lambda: NOW)) as (one, _s),
    ):
        assert one.notifiers()[0].run_once() is False


def test_a_change_in_domains_nobody_wants_is_not_sent(tmp_path: Path) -> None:
    with (
        consumer(ack("AA")) as (port, got),
        linked(tmp_path, port, Clock(lambda: NOW), authorities=["OSAKA-HP"]) as (one, services),
    ):
        one.notifiers()[0].run_once()
        got.clear()
        feed(services, adt("A04", pid(f"A5^^^{TOKYO}")))
        one.notifiers()[0].run_once()
        assert got == []


def test_without_consumers_nothing_piles_up(tmp_path: Path) -> None:
    with node(tmp_path, matching={"mode": "off"}) as (services, parts):
        for number in (f"A1^^^{TOKYO}", f"B1^^^{OSAKA}"):
            feed(services, adt("A04", pid(f"{number}~M1^^^{MEDICAL}")))
        app.Node(settings(tmp_path), parts).notifiers()[0].run_once()
        assert rows(parts, "SELECT count(*) FROM outbox WHERE kind = 'identity-changed' AND done IS NULL") == [(0,)]


def test_a_domain_nobody_knows_stops_the_start(tmp_path: Path) -> None:
    notify = [{"name": "his", "host": "127.0.0.1", "authorities": ["NOBODY"]}]
    chosen = settings(tmp_path, notify=notify)
    with app.storage(chosen) as parts, pytest.raises(ConfigurationError, match="NOBODY"):
        app.Node(chosen, parts).notifiers()[0]
