"""What a person is found by, folded the same way for storing and for asking (services/search/text.py).

| kind | of |
|---|---|
| f g | family name, given name, of every name the record has (kanji, kana, romaji, former) |
| w | the whole name without blanks |
| m | mother's maiden name: whole, and each of its words |
| t | telephone, digits and `+` only; e-mail as it is |
| p s c l n | postal code (digits), state, city, line, country |
| a | any part of an address, and the whole of it |
| k q | account number, mother's number: the value alone, and with its authority |
"""

from collections.abc import Iterable, Iterator

from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.services.search.index import phone_digits
from gateway.services.search.text import fold

MAX_TERM = 200
"""Characters of one term that count."""


def terms(known: Demographics) -> tuple[tuple[str, str], ...]:
    """(kind, folded value), each once, in order."""
    found: dict[tuple[str, str], None] = {}
    for kind, value in _terms(known):
        if value:
            found[kind, value[:MAX_TERM]] = None
    return tuple(sorted(found))


def _terms(known: Demographics) -> Iterator[tuple[str, str]]:
    for name in known.names:
        yield from _name_terms(name)
    if known.mothers_maiden_name:
        maiden = known.mothers_maiden_name
        whole = (maiden.family, maiden.given, maiden.text)
        yield from (("m", one) for words in whole for one in (folded(words), tight(words), *folded(words).split()))
    for number in known.telecoms:
        yield "t", telecom(number)
    for address in known.addresses:
        yield from _address_terms(address)
    for kind, numbers in (("k", known.accounts), ("q", known.mothers_ids)):
        yield from ((kind, form) for number in numbers for form in (number, number.partition("^^^&")[0]))


def _name_terms(name: PersonName) -> Iterator[tuple[str, str]]:
    family, given = name.family, name.given
    if not family and not given:
        # Nobody took the name apart: its first word is looked for as a family name, the others as a given name.
        family, _, given = " ".join(name.text.split()).partition(" ")
    yield "f", tight(family)
    for part in given_parts(given):
        yield "g", part
    yield "w", tight(family + given)
    yield "w", tight(name.text)


def given_parts(given: str) -> Iterable[str]:
    """A given name as a whole, and each of its words (a middle name)."""
    return (tight(given), *folded(given).split())


def _address_terms(address: PersonAddress) -> Iterator[tuple[str, str]]:
    parts = {"s": address.state, "c": address.city, "l": address.line, "n": address.country}
    for kind, words in parts.items():
        yield kind, tight(words)
        yield "a", tight(words)
    yield "p", postal(address.postal_code)
    yield "a", postal(address.postal_code)
    yield "a", tight(address.text)


def folded(words: str) -> str:
    return fold(words)


def tight(words: str) -> str:
    """Folded, without blanks: 佐藤　翔太 and 佐藤翔太 are one."""
    return fold(words).replace(" ", "")


def postal(code: str) -> str:
    """Digits only: 〒100-0001 and 1000001 are one."""
    digits = "".join(letter for letter in fold(code) if letter.isdigit())
    return digits or tight(code)


def telecom(number: str) -> str:
    """Digits; +81 3 and 03 are one. What has none (an e-mail address) as it is."""
    if "@" in number:
        return tight(number)
    digits = phone_digits(number)
    if digits.startswith("+81"):
        digits = "0" + digits[3:].lstrip("0")
    return digits or tight(number)
