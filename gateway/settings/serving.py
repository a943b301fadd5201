"""Whether a node with these settings may serve at all."""

from collections.abc import Collection

from gateway.errors import ConfigurationError
from gateway.model.caller import is_loopback
from gateway.settings.root import Settings


def check_may_serve(settings: Settings, roles: Collection[str] = ("http",)) -> None:
    """Open mode is for loopback; enforced mode needs what it enforces with. Raises ConfigurationError that says what is
    missing. Whether the files hold what they should is found when they are read (services/trust.py)."""
    if settings.security.mode == "enforced":
        if missing := _missing(settings):
            raise ConfigurationError(
                f'security.mode = "enforced" lacks {", ".join(missing)} (docs/enforced.md; `musubi pki demo DIR` makes '
                'keys for a trial); security.mode = "open" is for a trial on a loopback address'
            )
        return
    for role, host in (("http", settings.http.host), ("mllp", settings.mllp.host)):
        if role in roles and not is_loopback(host):
            raise ConfigurationError(f'security.mode = "open" is for loopback only, but {role}.host is {host!r}')


def _missing(settings: Settings) -> list[str]:
    tls, security = settings.tls, settings.security
    missing = [f"tls.{name}" for name in ("cert_file", "key_file", "ca_file") if not getattr(tls, name)]
    if not tls.crl_file and tls.revocation == "hard":
        missing.append("tls.crl_file")
    if not security.nodes:
        missing.append("[[security.nodes]]")
    signer = security.saml
    if any((signer.issuer, signer.cert_file, signer.key_file)):
        parts = ("issuer", "cert_file", "key_file")
        missing += [f"security.saml.{name}" for name in parts if not getattr(signer, name)]
    return missing
