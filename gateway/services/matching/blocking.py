"""Which records are compared at all: those that share a key (ブロッキング). Few keys, each selective, none readable.

Two records of one person share a key unless they differ in name, birth date, address and telephone at once.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator

from gateway.services.matching.features import Features, Name

MAX_KEYS = 24
_NAMES = 2
"""Names a script that make keys: a record with more is rare, and one of the first two is the present one."""


def keys(features: Features) -> tuple[str, ...]:
    """The keys of a record, the more selective first; at most MAX_KEYS, without repetition."""
    made = dict.fromkeys(_hashed(kind, *parts) for kind, parts in _plain(features))
    return tuple(made)[:MAX_KEYS]


def _hashed(kind: str, *parts: str) -> str:
    """Short, of one length, and no name or birth date in an index."""
    digest = hashlib.blake2b("\x1f".join((kind, *parts)).encode("utf-8", "surrogatepass"), digest_size=9).digest()
    return b64encode(digest).decode("ascii")


def _plain(features: Features) -> Iterator[tuple[str, tuple[str, ...]]]:
    birth = features.birth
    for id_ in features.ids:
        yield "id", id_
    for number in features.phones:
        yield "phone", (number,)
    for address in features.mails:
        yield "mail", (address,)
    for script, names in (("sound", _sounds(features)), ("kanji", features.kanji)):
        for name in names[:_NAMES]:
            yield from _of_name(script, name, birth)
    for place in features.addresses:
        if not place.postal:
            continue
        if len(birth) == 8:
            yield "place-birth", (place.postal, birth)
        for name in _sounds(features)[:1] + features.kanji[:1]:
            yield "place-name", (place.postal, _letters(name))  # no birth date, or one that is wrong altogether


def _of_name(script: str, name: Name, birth: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if len(birth) == 8:
        yield f"{script}-family", (name.family, birth)
        if name.given:
            yield f"{script}-given", (name.given, birth)
    if name.former:
        return
    whole = _letters(name)
    if birth:
        yield f"{script}-year", (whole, birth[:4])
    if len(birth) == 8:
        yield f"{script}-day", (whole, birth[4:])  # errors of the year: eras, a digit


def _letters(name: Name) -> str:
    """In order of the alphabet: where the name is divided, and which part comes first, makes no difference."""
    return "".join(sorted(name.whole))


def _sounds(features: Features) -> tuple[Name, ...]:
    return tuple(Name(*name.sound, name.sound, name.former) for name in (*features.kana, *features.romaji))
