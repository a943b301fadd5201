"""What every test may use: `--long`, and the shared folder of specifications and samples beside the checkout."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres, s3

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long form of fault, fuzz and scale jobs")
    parser.addoption("--update-golden", action="store_true", help="write the outputs of tests/golden again")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="long job: run with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """True with --long, for a test that has a short and a long form."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """`../shared` of the checkout: specifications, FHIR packages, schemas, samples. Skips when it is not there."""
    if not SHARED.is_dir():
        pytest.skip("the shared folder of specifications and samples is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """True with --update-golden: write what comes out as what is expected; the review is an ordinary diff."""
    return bool(pytestconfig.getoption("--update-golden"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Cluster]:
    """A server of this run. Skips with the reason where none can be started."""
    if reason := postgres.reason_for_none():
        pytest.skip(reason)
    with postgres.cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def each_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Runs a test once a database. What it opens with tests/storage/making.py (storage, database_url) is in that one."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: postgres.Cluster = request.getfixturevalue("postgresql")
    with postgres.used(server):
        yield "postgresql"
    server.drop(tmp_path)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.Server]:
    """An S3 server of this run. Skips with the reason where none can be started."""
    if reason := s3.reason_for_none():
        pytest.skip(reason)
    with s3.server() as running:
        yield running
