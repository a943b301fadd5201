"""How WS-Security refuses (WS-Security 1.1, 12): one fixed sentence a code, so that a fault teaches a caller nothing."""

from typing import Final

from gateway.codec.soap import SoapFault

SENTENCES: Final = {
    "UnsupportedSecurityToken": "An unsupported token was provided.",
    "UnsupportedAlgorithm": "An unsupported signature or encryption algorithm was used.",
    "InvalidSecurity": "An error was discovered processing the Security header.",
    "InvalidSecurityToken": "An invalid security token was provided.",
    "FailedAuthentication": "The security token could not be authenticated or authorized.",
    "FailedCheck": "The signature or decryption was invalid.",
    "SecurityTokenUnavailable": "Referenced security token could not be retrieved.",
    "MessageExpired": "The message has expired.",
}


class SecurityFault(SoapFault):
    """Why an assertion was refused. `finding` is for the audit trail and holds nothing of the message."""

    def __init__(self, code: str, detail: str) -> None:
        prefix = "wsu" if code == "MessageExpired" else "wsse"
        super().__init__("Sender", SENTENCES[code], subcodes=(f"{prefix}:{code}",))
        self.finding = detail


def fault(code: str, detail: str) -> SecurityFault:
    return SecurityFault(code, detail)
