"""Composition root: settings in, running parts out. The one room that knows every layer at once."""

from gateway.app.configured import facilities, matching, registers, software_version, use_mapping, validator
from gateway.app.node import Node
from gateway.app.reading import ingestor, quality, quality_of_node
from gateway.app.serving import ROLES, serve
from gateway.app.storing import audit_trail, check_blobs, integrity, newest, storage

__all__ = [
    "ROLES",
    "Node",
    "audit_trail",
    "check_blobs",
    "facilities",
    "ingestor",
    "integrity",
    "matching",
    "newest",
    "quality",
    "quality_of_node",
    "registers",
    "serve",
    "software_version",
    "storage",
    "use_mapping",
    "validator",
]
