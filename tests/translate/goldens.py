"""tests/golden: one folder a message, `<data type>/<name>/{in.hl7, bundle.json, explain.json}`."""

from pathlib import Path

from gateway.codec import charset, er7
from gateway.codec.er7 import Message
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES

GOLDEN = Path(__file__).parents[1] / "golden"
NUMBER = "0001000037"


def parse(data: bytes) -> Message:
    return er7.parse(charset.decode(data, 0))


class Golden:
    """One message of tests/golden, read under the name of a storage file of its data type."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_type = folder.parent.name
        date = "-" if self.data_type in ("ADT-00", "PPR-01") else "20240716"
        self.path = f"{NUMBER}_{date}_{self.data_type}_000000000005000_20240716120000000_06_1"
        self.data = (folder / "in.hl7").read_bytes()
        self.message = parse(self.data)

    def read(self, data: bytes, explain: bool = True) -> Converted:
        (converted,) = read_file(data, self.path, FACILITIES, explain=explain)
        return converted

    @property
    def name(self) -> str:
        return f"{self.data_type}/{self.folder.name}"

    def __repr__(self) -> str:
        return f"<{self.name}>"


GOLDENS = [Golden(file.parent) for file in sorted(GOLDEN.rglob("in.hl7"))]
