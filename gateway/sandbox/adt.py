"""ADT-00, ADT-12, ADT-22, ADT-52 (SS-MIX2 guideline; HL7 v2.5 chapter 3)."""

from gateway.sandbox.segments import Chart, Moment, Place, msh, segment, xad, xpn

Segments = list[str]


def basics(chart: Chart, place: Place, made: Moment, control_id: str, *, address: str = "") -> Segments:
    """ADT-00 patient basics (患者基本情報), ADT^A08. `address` overrides the person's: an older version of the file."""
    person = chart.person
    insured = person.insured
    address = address or person.address
    home = xad(person.postcode, address)
    if person.spouse:
        relative = xpn(person.family, person.spouse.kanji, person.family_kana, person.spouse.kana)
        next_of_kin = f"{relative}|SPO^配偶者^HL70063"
    else:
        name = xpn(person.family, person.given, person.family_kana, person.given_kana)
        next_of_kin = f"{name}|SEL^本人^HL70063"
    pid = chart.pid.replace(person.address, address)
    # PID-13 is the last field of the shared PID: 20 separators lead to PID-33 (last update).
    segments = [
        msh(chart.facility, made, "ADT^A08^ADT_A01", control_id),
        f"EVN||{made.seconds}|||{place.doctor.id}",
        pid + "|" * 20 + made.seconds,
        f"NK1|1|{next_of_kin}|{home}|^PRN^PH^^^^^^^^^{person.phone}",
        place.pv1,
        f"DB1|1|PT||{'Y' if '心不全' in {problem.name for problem in person.problems} else 'N'}",
        f"OBX|1|NM|9N001000000000001^身長^JC10||{person.height_cm}|cm^cm^ISO+|||||F",
        f"OBX|2|NM|9N006000000000001^体重^JC10||{person.weight_kg}|kg^kg^ISO+|||||F",
        f"OBX|3|CWE|5H010000001999911^血液型-ABO式^JC10||{person.abo}^{person.abo}^JSHR002||||||F",
        f"OBX|4|CWE|5H020000001999911^血液型-Rh式^JC10||{person.rh}^Rh{person.rh}^JSHR002||||||F",
    ]
    segments += [f"AL1|{n}|{allergy.al1}" for n, allergy in enumerate(person.allergies, start=1)]
    segments.append(
        segment(
            "IN1",
            {
                1: "1",
                2: insured.law,
                3: insured.insurer,
                4: insured.insurer_name,
                10: f"{insured.symbol}~{insured.number}~{insured.branch}",
                12: "20150401",
                17: "SEL^本人^HL70063",
            },
        )
    )
    return segments


def reception(chart: Chart, place: Place, made: Moment, control_id: str) -> Segments:
    """ADT-12 outpatient reception (外来診察の受付), ADT^A04. The care date is PV1-44."""
    return [
        msh(chart.facility, made, "ADT^A04^ADT_A01", control_id),
        f"EVN||{made.seconds}|||{place.doctor.id}",
        chart.pid,
        segment("PV1", _visit(place) | {10: place.doctor.department, 44: made.seconds}),
    ]


def admission(chart: Chart, place: Place, made: Moment, control_id: str, *, cancel: bool = False) -> Segments:
    """ADT-22 admitted (入院実施), ADT^A01, or its cancellation ADT^A11. The care date is PV1-44."""
    return [
        msh(chart.facility, made, "ADT^A11^ADT_A09" if cancel else "ADT^A01^ADT_A01", control_id),
        f"EVN||{made.seconds}|||{place.doctor.id}",
        chart.pid,
        segment(
            "PV1", _visit(place) | {10: place.doctor.department, 17: place.doctor.xcn, 44: made.seconds[:8] + "100000"}
        ),
    ]


def discharge(chart: Chart, place: Place, made: Moment, control_id: str, *, disposition: str) -> Segments:
    """ADT-52 discharged (退院実施), ADT^A03. The care date is PV1-45; PV1-36 by table 0112: 01 home, 02 hospital."""
    return [
        msh(chart.facility, made, "ADT^A03^ADT_A03", control_id),
        f"EVN||{made.seconds}|||{place.doctor.id}|{made.seconds}",
        chart.pid,
        segment(
            "PV1",
            _visit(place)
            | {10: place.doctor.department, 17: place.doctor.xcn, 36: disposition, 45: made.seconds[:8] + "110000"},
        ),
    ]


def _visit(place: Place) -> dict[int, str]:
    return {1: "0001", 2: "I" if place.inpatient else "O", 3: place.location, 7: place.doctor.xcn}
