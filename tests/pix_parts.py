"""Feeds and queries of patient identity in HL7 v2, as senders write them, for tests of ITI-8, 9, 21, 22 and 30."""

from collections.abc import Iterable

from gateway.codec.mllp import Block
from gateway.ihe._v2 import V2Services, answer
from tests.v2_parts import ARC, send

TOKYO = f"TOKYO-HP&{ARC}.2&ISO"
OSAKA = f"OSAKA-HP&{ARC}.22&ISO"
MEDICAL = f"MEDICAL-ID&{ARC}.3&ISO"
REGION = f"&{ARC}.1.1&ISO"
"""The affinity domain of the default settings."""
UTF_8 = "UNICODE UTF-8"
_STRUCTURES = {
    "A40": "^ADT_A39",
    "A47": "^ADT_A30",
    "A24": "^ADT_A24",
    "A37": "^ADT_A37",
    "A28": "^ADT_A05",
    "A31": "^ADT_A05",
}


def head(type_: str, control_id: str, version: str, time: str, charset: str, facility: str = "XREF") -> str:
    return f"MSH|^~\\&|SRC|{facility}|GW|REGION|{time}||{type_}|{control_id}|P|{version}||||||{charset}"


def adt(
    trigger: str,
    *segments: str,
    id_: str = "",
    time: str = "20260102110000",
    version: str = "2.3.1",
    facility: str = "XREF",
    evn: str = "",
    charset: str = UTF_8,
) -> bytes:
    """A feed; its control id is made of its content unless given. The first of `segments` is PID."""
    structure = "" if version == "2.3.1" else _STRUCTURES.get(trigger, "^ADT_A01")
    control_id = id_ or f"{abs(hash((trigger, segments, time))) % 10**12}"
    lines = [
        head(f"ADT^{trigger}{structure}", control_id, version, time, charset, facility),
        f"EVN||{evn or time}",
        *segments,
    ]
    return ("\r".join(lines) + "\r").encode("utf-8" if charset == UTF_8 else "iso2022_jp")


def pid(ids: str, name: str = "見本^花子^^^^^L^I", born: str = "19700405", sex: str = "F", **more: str) -> str:
    """PID; `more`: other fields as `f21="..."`."""
    fields = [""] * 31
    fields[0], fields[3], fields[5], fields[7], fields[8] = "PID", ids, name, born, sex
    for key, value in more.items():
        fields[int(key[1:])] = value
    return "|".join(fields).rstrip("|")


def pix(cx: str, *domains: str, tag: str = "T1", charset: str = UTF_8, version: str = "2.5") -> bytes:
    asked = "~".join(f"^^^{domain}" for domain in domains)
    lines = [
        head("QBP^Q23^QBP_Q21", f"Q{tag}", version, "20260102120000", charset),
        f"QPD|IHE PIX Query^^HL70471|{tag}|{cx}" + (f"|{asked}" if asked else ""),
        "RCP|I",
    ]
    return ("\r".join(lines) + "\r").encode("utf-8" if charset == UTF_8 else "iso2022_jp")


def pdq(
    *parameters: str,
    domains: Iterable[str] = (),
    rcp: str = "I",
    pointer: str = "",
    tag: str = "T1",
    charset: str = UTF_8,
    event: str = "Q22",
    more: str = "",
) -> bytes:
    asked = "~".join(f"^^^{domain}" for domain in domains)
    qpd = f"QPD|IHE PDQ Query^^HL70471|{tag}|{'~'.join(parameters)}" + (f"|||||{asked}" if asked else "")
    lines = [head(f"QBP^{event}^QBP_Q21", f"D{tag}", "2.5", "20260102120000", charset), qpd, f"RCP|{rcp}"]
    if pointer:
        lines.append(f"DSC|{pointer}|I")
    text = "\r".join([*lines, *([more] if more else [])]) + "\r"
    return text.encode("utf-8" if charset in (UTF_8, "") else "iso2022_jp")


def ask(services: V2Services, message: bytes, encoding: str = "utf-8") -> dict[str, list[str]]:
    """The answer's segments by name, each as its text; all in their order under ""."""
    (reply,) = answer(Block(message), "192.0.2.7", services).messages
    found: dict[str, list[str]] = {"": reply.decode(encoding).rstrip("\r").split("\r")}
    for line in reply.decode(encoding).rstrip("\r").split("\r"):
        found.setdefault(line[:3], []).append(line)
    return found


def field(segment: str, number: int) -> str:
    """Field of a segment; of MSH as HL7 counts."""
    fields = segment.split("|")
    at = number - 1 if segment.startswith("MSH") else number
    return fields[at] if at < len(fields) else ""


def ids(found: dict[str, list[str]]) -> list[str]:
    """`value@oid` of PID-3 of the one PID."""
    (segment,) = found["PID"]
    return [f"{cx.split('^')[0]}@{cx.split('^')[3].split('&')[1]}" for cx in field(segment, 3).split("~")]


def told(lines: list[str]) -> str:
    """MSA-1, and of an error ERR-3 and ERR-2 in either form: `AE 204 PID^1^3^1^4`."""
    msa = next(line for line in lines if line.startswith("MSA"))
    said = [field(msa, 1)]
    for err in (line for line in lines if line.startswith("ERR")):
        if field(err, 1):
            *where, code = field(err, 1).split("^")
            said += [code.split("&")[0], "^".join(where)]
        else:
            said += [field(err, 3).split("^")[0], field(err, 2)]
    return " ".join(said)


def feed(services: V2Services, message: bytes) -> str:
    return told(send(services, message))
