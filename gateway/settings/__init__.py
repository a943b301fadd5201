"""musubi.toml and MUSUBI_SECTION__KEY, checked before anything starts. An unknown key is an error with a suggestion."""

from gateway.settings.federation import Federation, Peer
from gateway.settings.forms import COMMUNITY_ID, OID, Section
from gateway.settings.identity import AuthoritySettings
from gateway.settings.loading import load
from gateway.settings.node import BlobStore, Community, Database, Http, Mllp
from gateway.settings.policy import DestinationSettings, GrantSettings
from gateway.settings.root import Settings
from gateway.settings.serving import check_may_serve
from gateway.settings.trust import Security

__all__ = [
    "COMMUNITY_ID",
    "OID",
    "AuthoritySettings",
    "BlobStore",
    "Community",
    "Database",
    "DestinationSettings",
    "Federation",
    "GrantSettings",
    "Http",
    "Mllp",
    "Peer",
    "Section",
    "Security",
    "Settings",
    "check_may_serve",
    "load",
]
