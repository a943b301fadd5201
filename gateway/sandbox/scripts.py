"""One reading in the scripts that hospital systems write it in: half width, hiragana, romaji of three kinds."""

from functools import lru_cache

from gateway.mapping_files import path, read_csv

_HALF = dict(
    zip(
        "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンァィゥェォャュョッー",
        "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝｧｨｩｪｫｬｭｮｯｰ",
        strict=True,
    )
)
_HALF |= {
    voiced: _HALF[plain] + "ﾞ"
    for voiced, plain in zip(
        "ガギグゲゴザジズゼゾダヂヅデドバビブベボ", "カキクケコサシスセソタチツテトハヒフヘホ", strict=True
    )
}
_HALF |= {voiced: _HALF[plain] + "ﾟ" for voiced, plain in zip("パピプペポ", "ハヒフヘホ", strict=True)}
_LARGE = str.maketrans("ャュョッァィゥェォ", "ヤユヨツアイウエオ")


def as_it_is(kana: str) -> str:
    return kana


def hiragana(kana: str) -> str:
    return "".join(chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter for letter in kana)


def half_width(kana: str) -> str:
    return "".join(_HALF.get(letter, letter) for letter in kana)


def large_half_width(kana: str) -> str:
    """Without small kana, as the oldest systems write."""
    return half_width(kana.translate(_LARGE))


def dashed(kana: str) -> str:
    """サトー for サトウ."""
    return kana.replace("ョウ", "ョー").replace("トウ", "トー").replace("ユウ", "ユー")


@lru_cache(maxsize=1)
def _sounds() -> dict[str, str]:
    return {row["kana"]: row["romaji"] for row in read_csv(path("tables", "kana-romaji.csv"))}


def kunrei(kana: str) -> str:
    sounds, at, written = _sounds(), 0, ""
    while at < len(kana):
        if kana[at] == "ッ":
            written += sounds.get(kana[at + 1 : at + 2], "")[:1]
            at += 1
            continue
        two = kana[at : at + 2]
        taken = two if two in sounds else kana[at]
        written += sounds.get(taken, "")
        at += len(taken)
    return written


_TO_HEPBURN = (("SYU", "SHU"), ("SYA", "SHA"), ("SYO", "SHO"), ("SI", "SHI"), ("TYU", "CHU"), ("TYA", "CHA"), ("TYO", "CHO"), ("TI", "CHI"), ("TU", "TSU"), ("HU", "FU"), ("ZYU", "JU"), ("ZYA", "JA"), ("ZYO", "JO"), ("ZI", "JI"))  # fmt: skip


def hepburn(kana: str) -> str:
    written = kunrei(kana)
    for plain, as_heard in _TO_HEPBURN:
        written = written.replace(plain, as_heard)
    return written


def passport(kana: str) -> str:
    """Long vowels left out, M before B, M and P (旅券のヘボン式)."""
    written = hepburn(kana).replace("OU", "O").replace("OO", "O").replace("UU", "U")
    return written.replace("NB", "MB").replace("NM", "MM").replace("NP", "MP")
