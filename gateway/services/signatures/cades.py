"""A detached CMS signature of a document: CAdES (ETSI EN 319 122-1) and plain CMS."""

import hashlib
from dataclasses import replace
from datetime import datetime

from cryptography import x509

from gateway.model.signature import INDETERMINATE, PASSED, Covered, SignatureProblem, SignatureReport
from gateway.services.signatures import cms
from gateway.services.signatures.hpki import roles_of
from gateway.services.signatures.trust import Moment, Trust, check_key, check_signer, policies_of


def check(signature: bytes, document: bytes, trust: Trust, now: datetime) -> SignatureReport:
    """`signature`: DER of a SignedData. Raises nothing: what cannot be read is a report too."""
    report = SignatureReport(INDETERMINATE, checked=now, form="CMS")
    try:
        signed = cms.read(signature)
        certificate = cms.verify(signed, document)
        check_key(certificate)
        report = replace(
            _described(report, certificate),
            form="CAdES" if cms.names_certificate(signed) else "CMS",
            covered=(Covered("content", hashlib.sha256(document).hexdigest()),),
            whole=True,
            signing_time=cms.claimed_time(signed),
            proven_time=_proven(signed, trust, now),
        )
        if report.form == "CMS":
            raise SignatureProblem(
                INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", "nothing that is signed says which certificate was meant"
            )
        others = [one for one in signed.certificates if one != certificate]
        used = check_signer(certificate, others, trust, Moment(now, report.proven_time, report.signing_time))
    except SignatureProblem as problem:
        return replace(
            report, indication=problem.indication, sub_indication=problem.sub_indication, reasons=(problem.text,)
        )
    return replace(report, indication=PASSED, revocation=used)


def _described(report: SignatureReport, certificate: x509.Certificate) -> SignatureReport:
    return replace(
        report,
        signer=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        roles=roles_of(certificate),
        policies=policies_of(certificate),
    )


def _proven(signed: cms.Signed, trust: Trust, now: datetime) -> datetime | None:
    times: list[datetime] = []
    for token in cms.time_stamps(signed):
        try:
            times.append(cms.time_of(token, signed.value, trust, now))
        except SignatureProblem:
            continue
    return min(times, default=None)
