"""A running node (sockets and all) tried as the published kits of PIX and PDQ try one: three domains, merges and links,
odd but legal writing, and senders that are slow, cut off or lost. The messages are ours, in the manner of those kits."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pix_parts import MEDICAL, OSAKA, REGION, TOKYO, UTF_8, adt, head, pdq, pid, pix, told
from tests.pix_parts import field as of
from tests.v2_parts import ARC

KYOTO = f"&{ARC}.4&ISO"
UNKNOWN = "&9.9.9&ISO"
BLOCK_TIMEOUT_S = 1
CONFIG = f"""\
[http]
port = {{http}}
[mllp]
port = {{mllp}}
block_timeout_s = {BLOCK_TIMEOUT_S}
[security]
mode = "open"
[matching]
mode = "off"
[[authorities]]
oid = "{ARC}.2"
namespace = "TOKYO-HP"
aliases = ["TKY"]
[[authorities]]
oid = "{ARC}.22"
namespace = "OSAKA-HP"
[[authorities]]
oid = "{ARC}.4"
[[authorities]]
oid = "{ARC}.3"
namespace = "MEDICAL-ID"
kind = "medical-id"
"""
_controls = itertools.count(1)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Ports of HTTP and MLLP."""
    folder = tmp_path_factory.mktemp("kit")
    http, mllp = _free_ports()
    (folder / "musubi.toml").write_text(CONFIG.format(http=http, mllp=mllp), encoding="utf-8")
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "musubi.toml")]
    checkout = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            for port in (http, mllp):
                _await(port, process, folder / "log")
            yield http, mllp
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _await(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))


class Sender:
    """One connection, a new control id for each message."""

    def __init__(self, port: int) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=20)

    def send(self, message: bytes, encoding: str = "utf-8") -> list[str]:
        msh, rest = re.split(rb"(?=\r)", message, maxsplit=1)
        fields = msh.split(msh[3:4])
        fields[9] = b"K%d" % next(_controls)
        self.wire.sendall(b"\x0b" + msh[3:4].join(fields) + rest + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            piece = self.wire.recv(65536)
            assert piece, "the connection was closed"
            answer += piece
        lines = answer.strip(b"\x0b\x1c\r").decode(encoding).split("\r")
        assert any(line.startswith("MSA|") and fields[9].decode() in line for line in lines)
        return lines

    def told(self, message: bytes, encoding: str = "utf-8") -> str:
        return told(self.send(message, encoding))

    def pix(self, number: str, *domains: str) -> str:
        """`AA OK A1,B1`, or `AE AE 204 QPD^1^3^1^1`"""
        lines = self.send(pix(number, *domains))
        names = [line[:3] for line in lines]
        assert names == [one for one in ("MSH", "MSA", "ERR", "QAK", "QPD", "PID") if one in names], "the order"
        qak = next(line for line in lines if line.startswith("QAK"))
        found = [cx.split("^")[0] for line in lines if line.startswith("PID") for cx in of(line, 3).split("~")]
        code, *errors = told(lines).split()
        return " ".join([code, of(qak, 2), *errors, *([",".join(found)] if found else [])])


@pytest.fixture
def sender(node: tuple[int, int]) -> Iterator[Sender]:
    one = Sender(node[1])
    yield one
    one.wire.close()


def merge(survivor: str, subsumed: str, time_: str, name: str = "Mesa^Three") -> bytes:
    return adt("A40", pid(survivor, name), f"MRG|{subsumed}", time=time_)


def test_a_merge_in_one_of_three_domains_is_seen_from_the_others(sender: Sender) -> None:
    for numbers in (f"MA1^^^{TOKYO}~900001^^^{MEDICAL}", f"MB1^^^{OSAKA}~900001^^^{MEDICAL}", f"MC1^^^{KYOTO}~900001^^^{MEDICAL}", f"MA2^^^{TOKYO}"):  # fmt: skip
        assert sender.told(adt("A04", pid(numbers, "Mesa^Three"))) == "AA"
    assert sender.pix(f"MC1^^^{KYOTO}", TOKYO, OSAKA) == "AA OK MA1,MB1"
    assert sender.pix(f"MC1^^^{KYOTO}", KYOTO) == "AA NF", "never the id that was asked with"
    assert sender.told(merge(f"MA2^^^{TOKYO}", f"MA1^^^{TOKYO}", "20260102120000")) == "AA"
    assert sender.pix(f"MC1^^^{KYOTO}", TOKYO) == sender.pix(f"MB1^^^{OSAKA}", TOKYO) == "AA OK MA2"
    assert sender.pix(f"MA1^^^{TOKYO}", OSAKA) == "AE AE 204 QPD^1^3^1^1"
    refused = {
        "repeated": (f"MA2^^^{TOKYO}", f"MA1^^^{TOKYO}", "AE 102 MRG^1^1"),
        "circular": (f"MA1^^^{TOKYO}", f"MA2^^^{TOKYO}", "AE 102 MRG^1^1"),
        "into itself": (f"MA2^^^{TOKYO}", f"MA2^^^{TOKYO}", "AE 102 MRG^1^1"),
        "unknown": (f"MA2^^^{TOKYO}", f"NOPE^^^{TOKYO}", "AE 204 MRG^1^1"),
        "across domains": (f"MA2^^^{TOKYO}", f"MB1^^^{OSAKA}", "AE 204 MRG^1^1"),
        "no authority": (f"MA2^^^{TOKYO}", "MB1", "AE 204 MRG^1^1"),
        "unknown authority": (f"MA2^^^{TOKYO}", f"MB1^^^{UNKNOWN}", "AE 204 MRG^1^1"),
        "no number": (f"MA2^^^{TOKYO}", "", "AE 101 MRG^1^1"),
    }
    for name, (survivor, subsumed, said) in refused.items():
        assert sender.told(merge(survivor, subsumed, "20260102130000")) == said, name
    assert sender.pix(f"MC1^^^{KYOTO}", TOKYO, OSAKA) == "AA OK MA2,MB1", "nothing moved"


def test_link_unlink_and_a_changed_number(sender: Sender) -> None:
    def two(event: str, one: str, other: str, time_: str) -> bytes:
        return adt(event, pid(one, ""), pid(other, ""), version="2.5", time=time_)

    tokyo, osaka = f"L1^^^{TOKYO}", f"L2^^^{OSAKA}"
    for number, name in ((tokyo, "Link^One"), (osaka, "Link^Two")):
        assert sender.told(adt("A28", pid(number, name), version="2.5")) == "AA"
    assert sender.told(two("A24", tokyo, osaka, "20260102120000")) == "AA"
    assert sender.pix(tokyo) == "AA OK L2"
    assert sender.told(adt("A47", pid(f"L3^^^{TOKYO}", "Link^One"), f"MRG|{tokyo}", version="2.5", time="20260102123000")) == "AA"  # fmt: skip
    assert sender.pix(osaka) == "AA OK L3" and sender.pix(tokyo) == "AE AE 204 QPD^1^3^1^1"
    assert sender.told(two("A37", f"L3^^^{TOKYO}", osaka, "20260102130000")) == "AA"
    assert sender.pix(osaka) == "AA NF"
    assert sender.told(two("A37", tokyo, osaka, "20260102140000")) == "AE 204 PID^1^3^1^1", "the retired number"
    assert sender.told(two("A24", osaka, f"L9^^^{TOKYO}", "20260102140000")) == "AE 204 PID^2^3^1^1"
    taken = adt("A47", pid(osaka, "Link^Two"), f"MRG|{osaka}", version="2.5", time="20260102150000")
    assert sender.told(taken).startswith("AE 102")


FEEDS = {
    "an OID alone": (f"K1^^^&{ARC}.2&ISO", "AA"),
    "a namespace alone": ("K2^^^TOKYO-HP", "AA"),
    "another name of it": ("K3^^^TKY", "AA"),
    "a namespace nobody knows beside its OID": (f"K4^^^NOPE&{ARC}.2&ISO", "AA"),
    "an OID without its type": (f"K5^^^&{ARC}.2", "AE 204 PID^1^3"),
    "of two authorities": (f"K6^^^OSAKA-HP&{ARC}.2&ISO", "AE 204 PID^1^3"),
    "an unknown domain": (f"K7^^^{UNKNOWN}", "AE 204 PID^1^3"),
    "one known, one not": (f"K8^^^{TOKYO}~K8^^^{UNKNOWN}", "AE 204 PID^1^3"),
    "no authority": ("K9", "AE 204 PID^1^3"),
    "no number": (f"^^^{TOKYO}", "AE 101 PID^1^3"),
    "nothing": ("", "AE 101 PID^1^3"),
    "a number with a delimiter": (f"K\\T\\10^^^{TOKYO}", "AA"),
}


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize("event", ["A01", "A04", "A05", "A08"])
def test_who_may_be_fed(sender: Sender, name: str, event: str) -> None:
    number, said = FEEDS[name]
    answer = sender.send(adt(event, pid(number, f"Kit^{event}")))
    assert told(answer) == said
    msh = answer[0]
    assert (of(msh, 9), of(msh, 12)) == (f"ACK^{event}", "2.3.1")
    assert (of(msh, 3), of(msh, 4), of(msh, 5), of(msh, 6)) == ("GW", "REGION", "SRC", "XREF")
    if said == "AA":
        assert sender.pix(number, KYOTO) == "AA NF"


CROSS = {
    "1": (("Q3", OSAKA), (TOKYO,), "AA OK Q1,Q2"),
    "2": (("Q3", OSAKA), (KYOTO,), "AA NF"),
    "3": (("NOBODY", TOKYO), (), "AE AE 204 QPD^1^3^1^1"),
    "4": (("Q1", UNKNOWN), (), "AE AE 204 QPD^1^3^1^4"),
    "4, a namespace": (("Q1", "NOPE"), (), "AE AE 204 QPD^1^3^1^4"),
    "5": (("Q3", OSAKA), (UNKNOWN, TOKYO, "&9.8&ISO"), "AE AE 204 QPD^1^4^1~QPD^1^4^3"),
    "6": (("Q1", TOKYO), (), "AA OK Q2,Q3"),
}


@pytest.mark.parametrize("name", CROSS)
def test_the_cases_of_a_cross_reference(sender: Sender, name: str) -> None:
    assert sender.told(adt("A04", pid(f"Q1^^^{TOKYO}~Q2^^^{TOKYO}~Q3^^^{OSAKA}", "Quer^Y"))) == "AA"
    (number, authority), domains, said = CROSS[name]
    assert sender.pix(f"{number}^^^{authority}", *domains) == said


def test_the_affinity_domain_is_one_that_may_be_asked_for(sender: Sender) -> None:
    assert sender.told(adt("A04", pid(f"R1^^^{TOKYO}", "Region^One"))) == "AA"
    assert re.fullmatch(r"AA OK [0-9a-f-]{36}", sender.pix(f"R1^^^{TOKYO}", REGION))


WRITINGS = {
    "UTF-8": ("見本^花子^^^^^L^I", UTF_8, "utf-8"),
    "ISO IR87": ("見本^花子^^^^^L^I", "~ISO IR87", "iso2022_jp"),
    "UTF-8 said to be nothing": ("見本^花子^^^^^L^I", "", "utf-8"),
    "Shift_JIS said to be Western": ("見本^花子^^^^^L^I", "8859/1", "cp932"),
    "Western": ("Müller^José^^^^^L", "8859/1", "iso8859-1"),
}


@pytest.mark.parametrize("name", WRITINGS)
def test_a_name_in_any_writing_is_found_in_utf_8(sender: Sender, name: str) -> None:
    text, declared, encoding = WRITINGS[name]
    number = f"W{sorted(WRITINGS).index(name)}"
    lines = [head("ADT^A04", "x", "2.3.1", "20260102110000", declared), "EVN||20260102110000", pid(f"{number}^^^{TOKYO}", text)]  # fmt: skip
    assert sender.told(("\r".join(lines) + "\r").encode(encoding)) == "AA"
    found = sender.send(pdq(f"@PID.3.1^{number}", tag=f"W{number}"))
    (person,) = [line for line in found if line.startswith("PID")]
    assert of(person, 5).startswith(text.split("^^")[0])


@pytest.mark.parametrize("ends", [b"\r", b"\n", b"\r\n"])
def test_other_delimiters_and_line_ends(sender: Sender, ends: bytes) -> None:
    message = (
        f"MSH$%*/@$SRC$XREF$GW$REG$20260102110000$$ADT%A04$x$P$2.3.1\rEVN$$20260102110000\r"
        f"PID$$$D1%%%TOKYO-HP@{ARC}.2@ISO*D2%%%OSAKA-HP@{ARC}.22@ISO$$Delim%Other$$19800101$F\r"
    )
    assert b"AA" in sender_raw(sender, message.encode().replace(b"\r", ends))
    assert sender.pix(f"D1^^^{TOKYO}") == "AA OK D2"


def sender_raw(sender: Sender, message: bytes) -> bytes:
    sender.wire.sendall(b"\x0b" + message + b"\x1c\r")
    return sender.wire.recv(65536)


def test_continuation_and_cancel(sender: Sender) -> None:
    for n in range(3):
        assert sender.told(adt("A04", pid(f"P{n}^^^{TOKYO}", f"Pages^N{n}"))) == "AA"
    seen, pointer = [], ""
    for left in (2, 1, 0):
        lines = sender.send(pdq("@PID.5.1.1^PAGES", tag="PAGES", rcp="I|1^RD", pointer=pointer))
        (person,) = [line for line in lines if line.startswith("PID")]
        (qak,) = [line for line in lines if line.startswith("QAK")]
        seen.append(of(person, 3).split("^")[0])
        assert [of(qak, at) for at in (2, 4, 5, 6)] == ["OK", "3", "1", str(left)]
        first = pointer or next((of(line, 1) for line in lines if line.startswith("DSC")), "")
        pointer = next((of(line, 1) for line in lines if line.startswith("DSC")), "")
    assert sorted(seen) == ["P0", "P1", "P2"] and not pointer
    cancel = head("QCN^J01^QCN_J01", "x", "2.5", "20260102120000", UTF_8) + "\rQID|PAGES|IHE PDQ Query\r"
    assert sender.told(cancel.encode()) == "AA"
    assert sender.told(pdq("@PID.5.1.1^PAGES", tag="PAGES", rcp="I|1^RD", pointer=first)) == "AE 204 DSC^1^1"


LOST = {
    "a block cut off": b"\x0bMSH|^~\\&|SRC|XREF",
    "no start of a block": b"MSH|^~\\&|SRC|XREF|GW|REG|2026||ADT^A04|1|P|2.3.1\r",
    "a request of the web": b"GET / HTTP/1.1\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", LOST)
def test_a_sender_that_hangs_up_halfway_disturbs_nobody(node: tuple[int, int], sender: Sender, name: str) -> None:
    for port in node:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(LOST[name])
            wire.shutdown(socket.SHUT_WR)
            while wire.recv(4096):
                pass
    assert sender.told(adt("A04", pid(f"H1^^^{TOKYO}", "Hung^Up"))) == "AA"


def test_a_slow_sender_is_cut_off_while_others_are_served(node: tuple[int, int], sender: Sender) -> None:
    with socket.create_connection(("127.0.0.1", node[1]), timeout=20) as wire:
        wire.sendall(b"\x0bMSH|^~\\&|SRC")
        assert sender.told(adt("A04", pid(f"H2^^^{TOKYO}", "Slow^Other"))) == "AA"
        started = time.monotonic()
        assert wire.recv(4096) == b""
        assert time.monotonic() - started < BLOCK_TIMEOUT_S + 4
