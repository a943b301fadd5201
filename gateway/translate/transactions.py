"""Files of the SS-MIX2 transaction storage: every record becomes what its file in the standardised storage becomes."""

import hashlib
from dataclasses import replace

from gateway.codec import transaction_storage
from gateway.codec.ssmix2 import FileName, padded
from gateway.codec.transaction_storage import Record
from gateway.errors import BadInput
from gateway.model.identity import PatientId
from gateway.model.outcome import Issue, Translated
from gateway.translate import hl7, times
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted

NAME = "ss-mix2-transactions"


def recognises(data: bytes, path: str) -> bool:
    return transaction_storage.is_transaction_file(path.replace("\\", "/").rpartition("/")[2])


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """One Converted a record, in order, under the name its file would have."""
    file = path.replace("\\", "/").rpartition("/")[2]
    try:
        records = transaction_storage.records(data)
    except BadInput as error:
        digest = hashlib.sha256(data).hexdigest()
        return [Converted(NAME, file, 0, digest, error=Issue("fatal", "not-transactions", "byte 0", str(error)))]
    return [one for record in records for one in _read(record, facilities, facility, explain)]


def _read(record: Record, facilities: Facilities, facility: str, explain: bool) -> list[Converted]:
    if not record.message and record.name.flag == "0":
        return [tombstone(record.name, facilities, facility, record.facility, record.offset)]
    name = record.name
    patient = name.patient_id
    folders = (record.facility, patient[:3], patient[3:6] or "-", patient, name.care_date, name.data_type)
    made = hl7.read_file(record.message, "/".join((*folders, name.name)), facilities, facility, explain)
    return [replace(one, message_offset=one.message_offset + record.offset) for one in made]


def tombstone(
    name: FileName, facilities: Facilities, override: str, facility: str, offset: int = 0, folder_type: str = ""
) -> Converted:
    """The deletion of a document of which no message tells, only its name. `facility`: as the record or row says it."""
    chosen, issues = facilities.resolve(override, "", facility)
    data_type = folder_type or name.data_type
    key = (name.patient_id, name.care_date, data_type, padded(name.order_no))
    digest = hashlib.sha256("|".join((chosen.oid, *key, name.timestamp, "DEL")).encode()).hexdigest()
    return Converted(
        NAME,
        name.name,
        offset,
        digest,
        name=name._replace(flag="0"),
        facility=chosen.oid,
        data_type=data_type,
        key=key,
        message_time=times.fhir_datetime(name.timestamp) or "",
        version_time=name.timestamp,
        patient_id=PatientId(name.patient_id, chosen.oid),
        translated=Translated((), issues),
        tombstone=True,
    )
