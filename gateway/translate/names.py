"""XPN, XAD and XTN: names, addresses and telephones (HL7 v2.5 2.A.88 to 2.A.90) -> JP_HumanName, Address, ContactPoint.

Each has a function for one repetition, cached and pure; its `..._rest` says what that leaves unread.
"""

from functools import lru_cache

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, clean, plain
from gateway.translate.leavings import NULL, all_but
from gateway.translate.rules import converter, table

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


@lru_cache(maxsize=2048)
def human_name(raw: str) -> Fragment | None:
    """One repetition of XPN -> JP_HumanName (HL7 v2.5 2.A.88).

    LENIENT: the representation code (I kanji, P kana, A romaji) belongs in component 8; one generator of SS-MIX2
    storages writes it and the name type one component early for kanji names, so it is looked for in 6 to 8.
    """
    parts = [clean(p.replace("&", " ")) if p != NULL else "" for p in raw.split("^")]
    parts += [""] * (8 - len(parts))
    family, given = parts[0], " ".join(p for p in parts[1:3] if p)
    if not family and not given:
        return None
    tail = parts[5:8]
    codes = table("name-representation")
    representation = next((codes[p] for p in reversed(tail) if p in codes), None)
    use = next((table("name-type")[p] for p in tail if p in table("name-type")), "")
    name: Fragment = {}
    if representation:
        name["extension"] = [{"url": REPRESENTATION, "valueCode": representation}]
    if use:
        name["use"] = use
    name["text"] = f"{family} {given}".strip()
    if family:
        name["family"] = family
    if given:
        name["given"] = [given]
    return name


@lru_cache(maxsize=2048)
def xpn_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `human_name` leaves: a whole repetition without a name; codes in 6 to 8 that it does not know or that
    another one overrules."""
    if human_name(repetition) is None:
        return ((0, repetition),)
    parts = [plain(p) for p in repetition.split("^")]
    tail = list(enumerate(parts[5:8], start=6))
    said = {next((n for n, p in reversed(tail) if p in table("name-representation")), 0)}
    said.add(next((n for n, p in tail if p in table("name-type")), 0))
    return _BEYOND_XPN(repetition) + tuple((n, p) for n, p in tail if p and n not in said)


_BEYOND_XPN = all_but(1, 2, 3, 6, 7, 8)


@converter(repeats=True, rest=xpn_rest)
def human_names(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """XPN with its repetitions: kanji, kana and romaji are one name each."""
    return [name for repetition in raw.split("~") if (name := human_name(repetition))]


@lru_cache(maxsize=2048)
def address_of(raw: str) -> Fragment | None:
    """One repetition of XAD. Japan sends the whole address as one string in component 8 or in component 1."""
    parts = [plain(p.replace("&", " ")) for p in raw.split("^")]
    parts += [""] * (8 - len(parts))
    street, other, city, state, postcode, country, kind, whole = parts[:8]
    address: Fragment = {}
    if use := table("address-use").get(kind):
        address["use"] = use
    lines = [p for p in (street, other) if p]
    if words := whole or "".join(p for p in (state, city, *lines) if p):
        address["text"] = words
    if lines:
        address["line"] = lines
    for key, value in (("city", city), ("state", state), ("postalCode", postcode)):
        if value:
            address[key] = value
    if country:
        address["country"] = table("country").get(country, country)
    return address if address.keys() - {"use"} else None


@lru_cache(maxsize=2048)
def xad_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `address_of` leaves: a repetition without an address, and a kind (XAD.7) outside its table."""
    if address_of(repetition) is None:
        return ((0, repetition),)
    return all_but(1, 2, 3, 4, 5, 6, 8, words=((7, frozenset(table("address-use"))),))(repetition)


@converter(repeats=True, rest=xad_rest)
def addresses(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return [address for repetition in raw.split("~") if (address := address_of(repetition))]


@lru_cache(maxsize=2048)
def contact_point(raw: str) -> Fragment | None:
    """One repetition of XTN: the number in component 12 (SS-MIX2) or 1 (others), e-mail in 4."""
    parts = [plain(p) for p in raw.split("^")]
    parts += [""] * (12 - len(parts))
    value = parts[11] or parts[0] or "".join(parts[4:8]) or parts[3]
    if not value:
        return None
    point: Fragment = {"system": table("telecom-system").get(parts[2], "email" if value == parts[3] else "phone")}
    point["value"] = value
    if use := table("telecom-use").get(parts[1]):
        point["use"] = use
    return point


@lru_cache(maxsize=2048)
def xtn_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `contact_point` leaves: a repetition without a number, numbers beside the one taken, unknown codes."""
    if contact_point(repetition) is None:
        return ((0, repetition),)
    parts = [plain(p) for p in repetition.split("^")]
    ways = ((12,), (1,), (5, 6, 7, 8), (4,))
    taken = next(way for way in ways if any(number <= len(parts) and parts[number - 1] for number in way))
    codes = all_but(words=((2, frozenset(table("telecom-use"))), (3, frozenset(table("telecom-system")))))
    return tuple(pair for pair in codes(repetition) if pair[0] not in taken)


@converter(repeats=True, rest=xtn_rest)
def contact_points(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return [point for repetition in raw.split("~") if (point := contact_point(repetition))]
