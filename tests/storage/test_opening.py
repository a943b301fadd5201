from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.model.clock import Clock
from gateway.storage.blob_files import FileObjects
from gateway.storage.opening import open_storage
from tests.storage.making import DOMAIN, derivations


def test_a_new_database_is_made_with_its_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'm.db'}"
    store = open_storage(
        url, FileObjects(tmp_path / "blobs"), affinity_domain=DOMAIN, derive=derivations(), clock=Clock()
    )
    assert store.keeping.seen([b"/x"]) == {}
    store.close()
    assert (tmp_path / "deep" / "m.db").exists()


def test_what_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"this is a letter and no database" * 10)
    with pytest.raises(ConfigurationError, match="database"):
        open_storage(
            f"sqlite:///{tmp_path / 'm.db'}",
            FileObjects(tmp_path),
            affinity_domain=DOMAIN,
            derive=derivations(),
            clock=Clock(),
        )
