from collections.abc import Iterator

import pytest
from flask import Flask

from gateway.serve.http import create_app
from tests.policy_parts import region


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The HTTP face of a whole node in enforced mode."""
    with region(tmp_path_factory.mktemp("node")) as made:
        yield create_app(made.node.http({}))
