"""What the benchmarks work on: synthetic storages in a temporary folder, one laboratory message, an open node."""

import gc
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway import app
from gateway.sandbox.facilities import FACILITIES, TOKYO
from gateway.sandbox.ssmix2 import generate
from gateway.services.ingest.files import Found, walk
from gateway.settings import AuthoritySettings, Community, Database, Security, Settings
from gateway.translate.context import Facilities

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "ssmix2" / "storage-20p.tar.gz"
SEED = 20_240_601
FILES_PER_PATIENT = 10
HOSPITALS = tuple(
    AuthoritySettings(oid=one.oid, namespace=one.namespace, name=one.name, institution=one.institution)
    for one in FACILITIES.values()
)
MEDICAL_ID = AuthoritySettings(oid="1.2.392.200119.99999.3", namespace="MEDICAL-ID", kind="medical-id")
AUTHORITIES = (*HOSPITALS, MEDICAL_ID)


@dataclass(frozen=True, slots=True)
class Size:
    """How much one run of the benchmarks does."""

    files: int
    """Of the storage that most of them work on."""
    few: int
    many: int
    """Files of the two runs whose memory is compared."""
    runs: int
    messages: int = 48
    """Different laboratory messages, so that caches of whole fields do not answer everything."""
    queries: int = 60
    long_courses: int = 20
    """Patients with enough documents for an answer of 100."""
    persons: int = 10_000
    """Invented people whose records are matched."""
    identities: tuple[int, ...] = (10_000, 100_000)
    """People in the identity index, the smallest first; each size is measured while the index grows to the next."""
    document: int = 100 * 1024 * 1024
    """Bytes of the large document."""
    registries: tuple[int, ...] = (10_000, 100_000)
    """People in the document registry, the smallest first."""
    trees: tuple[int, ...] = (10_000, 30_000)
    """Files of the storages whose cost a file is compared, the smallest first."""


SHORT = Size(files=4_000, few=1_000, many=5_000, runs=5)
LONG = Size(
    files=5_000,
    few=10_000,
    many=100_000,
    runs=9,
    queries=200,
    persons=100_000,
    document=500 * 1024 * 1024,
    trees=(10_000, 100_000, 1_000_000),
    identities=(10_000, 100_000, 1_000_000),
    registries=(10_000, 100_000, 1_000_000),
)
TINY = Size(
    files=50,
    few=40,
    many=60,
    runs=1,
    messages=3,
    queries=3,
    long_courses=1,
    persons=300,
    document=2 * 1024 * 1024,
    trees=(40, 60),
    identities=(60, 120),
    registries=(20, 40),
)
"""For the smoke test: every line runs, the numbers mean nothing."""


def storage(folder: Path, files: int, patients: int = 0, seed: int = SEED) -> Path:
    """A generated storage of exactly so many files below `folder`; the same on every machine."""
    root = folder / TOKYO.institution
    generate(root, seed=seed, patients=patients or max(1, files // FILES_PER_PATIENT), files=files)
    return root


def sample_storage(folder: Path) -> Path | None:
    """The storage among the shared samples; None when the samples are not beside the checkout."""
    if not SAMPLES.is_file():
        return None
    with tarfile.open(SAMPLES) as archive:
        archive.extractall(folder, filter="data")
    return folder


def paths_of(root: Path) -> list[str]:
    return sorted(os.path.join(at, name) for at, _, names in os.walk(root) for name in names)


def found_in(root: Path) -> list[Found]:
    return [found for found in walk([str(root)], lambda name: False) if found is not None]


def facilities() -> Facilities:
    return Facilities(one.authority() for one in AUTHORITIES)


def settings(folder: Path, number: int = 1) -> Settings:
    return Settings(
        community=Community(id=f"urn:oid:1.2.392.200119.99999.{number}", name=f"community {number}"),
        database=Database(url="sqlite:///musubi.db"),
        security=Security(mode="open"),
        authorities=AUTHORITIES,
        directory=folder,
    )


@contextmanager
def node(folder: Path, *roots: Path, number: int = 1, workers: int = 1) -> Iterator[app.Node]:
    """A node over a database in `folder` that has read `roots`."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = settings(folder, number)
    with app.storage(chosen) as parts:
        if roots:
            app.ingestor(chosen, parts).run(
                [str(root) for root in roots], rejects_file=folder / "rejects.jsonl", workers=workers
            )
        yield app.Node(chosen, parts)


@contextmanager
def plain_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """The node's database by the bare driver: what reading a row costs without anything of ours."""
    with closing(sqlite3.connect(folder / "musubi.db")) as connection:
        yield connection


def settle() -> None:
    """Collects what was built before, so that it is not paid for while something else is timed. The collector's
    thresholds stay the interpreter's own, as in a worker process of ingest."""
    gc.collect()


_TESTS = (
    ("3A010000002327101", "総蛋白", "g/dL", "6.7-8.3", 1),
    ("3A015000002327101", "アルブミン", "g/dL", "4.0-5.0", 1),
    ("3B035000002327201", "AST(GOT)", "U/L", "10-40", 0),
    ("3B045000002327201", "ALT(GPT)", "U/L", "5-45", 0),
    ("3C015000002327101", "クレアチニン", "mg/dL", "0.60-1.10", 2),
    ("3D010000002227101", "グルコース", "mg/dL", "70-109", 0),
    ("3H010000002326101", "ナトリウム", "mEq/L", "135-147", 0),
    ("3H015000002326101", "カリウム", "mEq/L", "3.5-5.0", 1),
    ("2A020000001930101", "赤血球数", "10*4/uL", "410-530", 0),
    ("5C070000002306201", "CRP", "mg/dL", "<0.30", 2),
)


def laboratory_message(number: int, results: int = 30) -> bytes:
    """OUL^R22 (検体検査結果) in ISO-2022-JP with `results` OBX; another `number` is another patient with other values."""
    rng = Random(number)
    order, patient = f"{number:015d}", f"{number:010d}"
    lines = [
        f"MSH|^~\\&|LAB|TOKYO-HP|GW|GW|20240611093011||OUL^R22^OUL_R22|{number:018d}|P|2.5||||||~ISO IR87||"
        "ISO 2022-1994|SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO",
        f"PID|0001||{patient}^^^^PI||見本^結子{number}^^^^^L^I~ミホン^ユイコ^^^^^L^P||19700405|F|||"
        "^^^^1000001^JPN^H^東京都架空区見本町１丁目||^PRN^PH^^^^^^^^^03-0000-0000",
        "PV1|0001|O|01^^^^^C||||110^架空^医師^^^^^^^L^^^^^I|||01",
        f"SPM|1|{order}&LAB||023^血清^JC10|||||||||||||20240611083000",
        f"OBR|1|{order}|{order}|E001^生化学検査^99LAB|||20240611083000|||||||||110^架空^医師^^^^^^^L^^^^^I|||||||||F",
        f"ORC|SC|{order}|{order}||CM||||20240611083000|||110^架空^医師^^^^^^^L^^^^^I",
    ]
    for line in range(1, results + 1):
        code, name, unit, limits, digits = _TESTS[line % len(_TESTS)]
        value = round(rng.uniform(0.1, 300.0), digits) if digits else rng.randrange(1, 600)
        lines.append(
            f"OBX|{line}|NM|{code}^{name}^JC10|{line}|{value}|{unit}^{unit}^99UNT|{limits}|{rng.choice('NHL')}|||F"
            "|||20240611083000"
        )
    return ("\r".join(lines) + "\r").encode("iso2022_jp")


def laboratory_path(number: int) -> str:
    patient, order = f"{number:010d}", f"{number:015d}"
    name = f"{patient}_20240611_OML-11_{order}_20240611093011000_01_1"
    return f"{TOKYO.institution}/{patient[:3]}/{patient[3:6]}/{patient}/20240611/OML-11/{name}"
