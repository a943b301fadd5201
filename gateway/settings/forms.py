"""What the sections have in common: the patterns of their strings, and those patterns in words."""

from pydantic import BaseModel, ConfigDict

OID = r"^[0-2](\.(0|[1-9][0-9]*))+$"
COMMUNITY_ID = r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"
DATABASE_URL = r"^[a-z][a-z0-9+]*://"
BLOBS_URL = r"^(file:.+|s3://.+)$"
INSTITUTION = r"^([0-9]{10})?$"
FACILITY_NUMBER = r"^(0[1-9]|[1-3][0-9]|4[0-7])[0-9]{8}$"
DAY = r"^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$"
ORIGIN = r"^(https?://[^/?#]+)?$"

FORMS = {
    OID: "an OID: numbers with points between them, 1.2.392...",
    COMMUNITY_ID: "urn:oid: and an OID",
    DATABASE_URL: "a database URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    BLOBS_URL: "where documents are: file:FOLDER, s3://BUCKET or s3://BUCKET/PREFIX",
    INSTITUTION: "the 10 digits of a 医療機関番号",
    FACILITY_NUMBER: "the 10 digits of a 医療機関番号, a prefecture (01 to 47) first",
    DAY: "a day, YYYY-MM-DD",
    ORIGIN: "scheme, host and port: https://gw.example:8443",
}
"""Patterns in words, for whoever wrote something else."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
