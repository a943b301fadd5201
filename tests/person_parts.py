"""Demographics in one line, for tests of matching."""

from gateway.model.person import Demographics, NameKind, PersonAddress, PersonName

HOME = "東京都架空区見本1-2-3"
POSTAL = "100-0099"
PHONE = "03-1234-5678"


def names(kanji: str = "", kana: str = "", romaji: str = "", former: str = "") -> tuple[PersonName, ...]:
    """`family given` each; without a blank it is a name that nobody took apart."""
    made: list[PersonName] = []
    kinds: tuple[tuple[NameKind, str], ...] = (("kanji", kanji), ("kana", kana), ("romaji", romaji))
    for kind, text in kinds:
        if text:
            family, _, given = text.partition(" ")
            made.append(PersonName(family, given, "", kind))
    if former:
        family, _, given = former.partition(" ")
        made.append(PersonName(family, given, "", "kanji", "maiden"))
    return tuple(made)


def person(
    kanji: str = "見本 翔太",
    kana: str = "ミホン ショウタ",
    romaji: str = "",
    *,
    former: str = "",
    birth: str = "19800102",
    sex: str = "M",
    home: str = HOME,
    postal: str = POSTAL,
    phone: str = PHONE,
    order: int | None = None,
) -> Demographics:
    address = PersonAddress(postal_code=postal, text=home)
    return Demographics(
        names=names(kanji, kana, romaji, former),
        birth_date=birth,
        sex=sex,
        addresses=(address,) if home or postal else (),
        telecoms=(phone,) if phone else (),
        birth_order=order,
    )
