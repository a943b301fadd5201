"""Notebooks made up for the tests: lines, and hypothesis strategies for whole notebooks of any version."""

from hypothesis import strategies as st

from gateway.codec.jahistc import Notebook, Record, parse
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.jahistc.source import read_file

PATIENT = (
    "1,試験 太郎,1,S450102,100-0001,東京都千代田区試験町1-1,03-0000-0001,試験 花子 090-0000-0000,Ａ＋,63.70,ｼｹﾝ ﾀﾛｳ"
)
HEADS = ("11,試験薬局,13,4,9900001,100-0002,東京都試験町2-2,03-0000-0002,1", "15,試験 薬子,03-0000-0002,1",
         "51,試験病院,13,1,9900002,1", "55,試験 医太,内科,1")  # fmt: skip


def data(*lines: str, header: str = "JAHISTC08,1", patient: str = PATIENT) -> bytes:
    return "".join(f"{line}\r\n" for line in (header, patient, *lines)).encode("cp932")


def converted(*lines: str, header: str = "JAHISTC08,1", patient: str = PATIENT, explain: bool = False) -> Converted:
    [one] = read_file(data(*lines, header=header, patient=patient), "a/notebook.csv", Facilities(), explain=explain)
    return one


def of(one: Converted, type_: str) -> list[dict]:
    return [resource for resource in one.resources if resource["resourceType"] == type_]


def dispensed(*lines: str, head: tuple[str, ...] = HEADS) -> dict:
    """The one MedicationDispense of a block with these lines."""
    [one] = of(converted("5,20250610,1", *head, *lines), "MedicationDispense")
    return one


_TEXT = st.text(st.sampled_from("試験薬あいうアイウＡＢＣ０１　・（）abc123- .〜−"), min_size=1, max_size=8)
TEXT = _TEXT.map(lambda s: s.strip(" 　")).filter(bool)
OPTIONAL = st.one_of(st.just(""), TEXT)
DAY = st.sampled_from(["20250610", "R070610", "H310430", "S640107", "19891231", "R010501"])
MAYBE_DAY = st.one_of(st.just(""), DAY)
CREATOR = st.sampled_from(["", "1", "2", "8", "9"])
NUMBER = st.sampled_from(["1", "3", "0.5", "14", "2.50", "1.0"])
COUNT = st.sampled_from(["1", "7", "14", "28", "10"])


def _line(number: str, *items: st.SearchStrategy[str]) -> st.SearchStrategy[Record]:
    return st.tuples(*items).map(lambda values: Record(number, values))


def _list(one: st.SearchStrategy[Record], most: int = 2) -> st.SearchStrategy[list[Record]]:
    return st.lists(one, max_size=most)


_PATIENT = _line(
    "1", TEXT, st.sampled_from(["1", "2"]), DAY, OPTIONAL, OPTIONAL, OPTIONAL, OPTIONAL, OPTIONAL,
    st.sampled_from(["", "63.7", "63.70"]), st.sampled_from(["", "シケン タロウ", "ｼｹﾝ ﾀﾛｳ", "ﾊﾟﾋﾟ ﾌﾟ"]),
)  # fmt: skip
_NOTE = _line("2", st.sampled_from(["1", "2", "3", "9"]), TEXT, CREATOR)
_MEMO = _line("4", TEXT, MAYBE_DAY, CREATOR)
_ENTRY = _line("601", TEXT, MAYBE_DAY)
_PHARMACIST = _line("701", TEXT, TEXT, OPTIONAL, MAYBE_DAY, MAYBE_DAY, CREATOR)
_REMARK = st.one_of(
    _line("401", TEXT, CREATOR),
    _line("411", TEXT, st.sampled_from(["30", "31", "99"]), CREATOR),
    _line("421", TEXT, CREATOR),
    _line("501", TEXT, CREATOR),
)


@st.composite
def _bought(draw: st.DrawFn, number: int) -> list[Record]:
    parts = draw(st.lists(st.tuples(TEXT, st.sampled_from([("1", ""), ("2", "X12")]), CREATOR), max_size=2))
    jan = draw(st.sampled_from(["", "4900000000001"]))
    drug = Record("3", (draw(TEXT), draw(MAYBE_DAY), draw(MAYBE_DAY), draw(CREATOR), str(number), jan))
    return [drug, *(Record("31", (str(number), name, *kind, creator)) for name, kind, creator in parts)]


@st.composite
def _group(draw: st.DrawFn, rp: int) -> list[Record]:
    made: list[Record] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from([("1", ""), ("4", "1234567F1234"), ("6", "123456789"), ("2", "620000001"), ("4", "x")])
        )
        generic = draw(st.sampled_from([(), ("一般名錠", "1", ""), ("一般名錠", "2", "1234567F1ZZZ")]))
        made.append(Record("201", (str(rp), draw(TEXT), draw(NUMBER), draw(OPTIONAL), *kind, draw(CREATOR), *generic)))
        made += draw(_list(_line("281", st.just(str(rp)), TEXT, CREATOR)))
        made += draw(_list(_line("291", st.just(str(rp)), TEXT, CREATOR), 1))
    form = draw(st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "9", "10"]))
    usage = draw(st.sampled_from([("1", ""), ("2", "1013044400000000"), ("2", "1011000090000000"), ("2", "ZZ")]))
    words = draw(st.sampled_from(["【分３　毎食後】", "【患部に貼付】", "【頭痛時】"]))
    made.append(Record("301", (str(rp), words, draw(COUNT), draw(OPTIONAL), form, *usage, draw(CREATOR))))
    made += draw(_list(_line("311", st.just(str(rp)), TEXT, CREATOR)))
    made += draw(_list(_line("391", st.just(str(rp)), TEXT, CREATOR), 1))
    return made


@st.composite
def _block(draw: st.DrawFn) -> list[Record]:
    made = [Record("5", (draw(DAY), draw(CREATOR)))]
    made.append(
        draw(_line("11", TEXT, st.just("13"), st.just("4"), st.just("9900001"), OPTIONAL, OPTIONAL, OPTIONAL, CREATOR))
    )
    made += draw(_list(_line("15", TEXT, OPTIONAL, CREATOR), 1))
    made += draw(_list(_line("51", TEXT, st.just("13"), st.just("1"), st.just("9900002"), CREATOR), 1))
    rp = 0
    for _ in range(draw(st.integers(0, 2))):
        made += draw(_list(_line("55", TEXT, OPTIONAL, CREATOR), 1))
        for _ in range(draw(st.integers(0, 2))):
            rp += 1
            made += draw(_group(rp))
    made += draw(_list(_REMARK, 3))
    made += draw(_list(_ENTRY, 1))
    return made


@st.composite
def notebooks(draw: st.DrawFn) -> Notebook:
    records = [draw(_PATIENT), *draw(_list(_NOTE))]
    for number in range(1, draw(st.integers(1, 3))):
        records += draw(_bought(number))
    records += draw(_list(_MEMO))
    for _ in range(draw(st.integers(0, 2))):
        records += draw(_block())
    records += draw(_list(_ENTRY, 1))
    records += draw(_list(_PHARMACIST, 1))
    records += draw(_list(_line("999", TEXT, OPTIONAL), 1))
    return Notebook(draw(st.integers(1, 8)), draw(st.sampled_from(["1", "2"])), tuple(records))


__all__ = ["converted", "data", "dispensed", "notebooks", "of", "parse"]
