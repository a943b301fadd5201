"""The audit trail as audit repositories, auditors and patients see it."""
