"""電子版お薬手帳 (electronic medication notebook) to FHIR JP Core and back; see README.md."""
