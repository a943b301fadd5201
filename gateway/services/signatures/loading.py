"""Trust and signing keys from files and tokens; who may sign what from the table signer-roles."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway import mapping_files
from gateway.errors import ConfigurationError, Unavailable
from gateway.services.signatures.trust import Trust

_MAX_FILE: Final = 16 * 1024 * 1024


def load_trust(
    roots: Path | None,
    intermediates: Path | None = None,
    crls: Sequence[Path] = (),
    time_stampers: Path | None = None,
    policies: Sequence[str] = (),
) -> Trust:
    """PEM files; lists may be DER. Raises ConfigurationError for what cannot be read."""
    return Trust(
        roots=load_certificates(roots),
        intermediates=load_certificates(intermediates),
        crls=tuple(_crl(path) for path in crls),
        tsa_roots=load_certificates(time_stampers),
        policies=frozenset(policies),
    )


def load_certificates(path: Path | None) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file; () without a file."""
    if path is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(_read(path)))
    except ValueError:
        raise ConfigurationError(f"{path}: no PEM certificates") from None


def _crl(path: Path) -> x509.CertificateRevocationList:
    data = _read(path)
    try:
        return x509.load_pem_x509_crl(data) if data.startswith(b"-----") else x509.load_der_x509_crl(data)
    except ValueError:
        raise ConfigurationError(f"{path}: no revocation list") from None


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(data) > _MAX_FILE:
        raise ConfigurationError(f"{path}: larger than {_MAX_FILE} bytes")
    return data


# -- what signs --------------------------------------------------------------------------------------------------


def key_file(path: Path, password: bytes | None = None) -> Callable[[bytes], bytes]:
    """Signs with the private key of a PEM file. Raises ConfigurationError."""
    try:
        key = load_pem_private_key(_read(path), password)
    except (ValueError, TypeError):
        raise ConfigurationError(f"{path}: no private key that can be read (PEM; is a password needed?)") from None
    if isinstance(key, rsa.RSAPrivateKey):
        rsa_key = key
        return lambda content: rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        ec_key = key
        return lambda content: ec_key.sign(content, ec.ECDSA(hashes.SHA256()))
    raise ConfigurationError(f"{path}: a signing key is RSA or an elliptic curve")


def token(module: Path, token_label: str, key_label: str, pin: str) -> Callable[[bytes], bytes]:
    """Signs on a PKCS#11 token (HPKI card, HSM); the key never leaves it. Needs the extra `pkcs11`.

    Raises ConfigurationError for what is not there; the function raises Unavailable when the token refuses.
    """
    try:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error
    except ImportError:
        raise ConfigurationError(
            "signing on a token needs python-pkcs11: pip install 'musubi-gateway[pkcs11]'"
        ) from None
    try:
        slot = pkcs11.lib(str(module)).get_token(token_label=token_label)
    except (PKCS11Error, RuntimeError, OSError) as error:
        raise ConfigurationError(f"PKCS#11 token {token_label!r}: {type(error).__name__}") from None

    def sign(content: bytes) -> bytes:
        try:
            with slot.open(user_pin=pin) as session:
                key: Any = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key_label)
                if key.key_type == pkcs11.KeyType.RSA:
                    return bytes(key.sign(content, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
                digest = hashes.Hash(hashes.SHA256())
                digest.update(content)
                return _as_sequence(bytes(key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)))
        except PKCS11Error as error:
            raise Unavailable(f"the token did not sign: {type(error).__name__}") from None

    return sign


def _as_sequence(value: bytes) -> bytes:
    """PKCS#11 gives r and s side by side."""
    half = len(value) // 2
    return utils.encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))


# -- who may sign ------------------------------------------------------------------------------------------------


def roles_for(type_code: str) -> frozenset[str]:
    """hcRole words of which a signer of this typeCode has to have one; empty: no profession is asked for."""
    words = mapping_files.table("signer-roles").get(type_code, "")
    return frozenset(word for word in words.split("|") if word)
