"""Signature values checked against a key: RSA, RSA-PSS, ECDSA in both of its spellings."""

from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
Kind = Literal["rsa", "pss", "ecdsa", "ecdsa-der"]


def verifies(certificate: x509.Certificate, kind: str, hash_name: str, value: bytes, content: bytes) -> bool:
    """Whether `value` is the signature of `content`. `ecdsa` is r and s side by side (XML-DSig), `ecdsa-der` a
    SEQUENCE (CMS)."""
    key, algorithm = certificate.public_key(), HASHES[hash_name]
    try:
        if isinstance(key, rsa.RSAPublicKey) and kind == "rsa":
            key.verify(value, content, padding.PKCS1v15(), algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and kind == "pss":
            key.verify(value, content, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and kind in ("ecdsa", "ecdsa-der"):
            key.verify(value if kind == "ecdsa-der" else _der(value, key), content, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    size = (key.key_size + 7) // 8
    if len(value) != 2 * size:
        raise ValueError("r and s are not of the curve's size")
    return utils.encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))
