"""OMP-01 prescriptions (処方オーダ), RDE^O11: ORC, RXE, TQ1, RXR per drug (JAHIS prescription; HL7 v2.5 chapter 4)."""

from decimal import Decimal
from random import Random
from typing import NamedTuple

from gateway.sandbox.segments import Chart, Moment, Place, at, day, msh, orc
from gateway.sandbox.tables import Drug, Usage, drugs, usages

Segments = list[str]

_INTERNAL, _AS_NEEDED, _EXTERNAL = "21^内服^JHSP0003", "22^頓服^JHSP0003", "23^外用^JHSP0003"
_EVERY_OTHER_DAY = "~I1100000&隔日&JAMISDP01"
_UNEVEN_SHARE = 0.05
_EVERY_OTHER_DAY_SHARE = 0.04


class Line(NamedTuple):
    """One drug of one Rp, already as field values."""

    rp: int
    order_in_rp: int
    drug: Drug
    tq1_3: str
    kind: str
    dose_min: str
    """RXE-3: of one intake; `""` (explicit null) for external drugs."""
    dose_max: str
    """RXE-4: only when intakes differ."""
    supplement: str
    """RXE-7."""
    per_day: str
    """RXE-19 amount; empty when as needed or external."""
    amount: str
    """RXE-10 for as-needed and external drugs, which do not depend on days."""
    occasions: str
    """TQ1-14."""


class Prescription(NamedTuple):
    order: str
    day: int
    entered: str
    days: int
    """Days of intake."""
    lines: tuple[Line, ...]


def draw(rng: Random, chart: Chart, order: str, day_number: int, second: int) -> Prescription:
    """One to four Rp, chosen for the person's problems where a drug has a tag."""
    tags = chart.person.tags
    fitting = [drug for drug in drugs() if not drug.tag or drug.tag in tags]
    chosen = rng.sample(fitting, min(len(fitting), 1 + int(rng.random() * 4)))
    chosen.sort(key=lambda drug: drug.group)
    lines: list[Line] = []
    for drug in chosen:
        last = lines[-1] if lines else None
        if (
            last
            and last.drug.group == drug.group == "meal"
            and not last.supplement
            and _EVERY_OTHER_DAY not in last.tq1_3
        ):
            usage = next(usage for usage in usages()["meal"] if usage.tq1_3 == last.tq1_3)
            lines.append(_line(rng, drug, usage, last.rp, last.order_in_rp + 1, plain=True))
        else:
            choices = usages()[drug.group]
            usage = choices[int(rng.random() * len(choices))]
            lines.append(_line(rng, drug, usage, last.rp + 1 if last else 1, 1, plain=False))
    return Prescription(order, day_number, at(day_number, second), rng.choice((5, 7, 14, 28, 30)), tuple(lines))


def render(
    chart: Chart, place: Place, prescription: Prescription, made: Moment, control_id: str, *, control: str = "NW"
) -> Segments:
    """The message. `control` is ORC-1: NW, or CA in a delete message."""
    segments = [msh(chart.facility, made, "RDE^O11^RDE_O11", control_id), chart.pid, place.pv1]
    segments += [f"AL1|{n}|{allergy.al1}" for n, allergy in enumerate(chart.person.allergies, start=1)]
    categories = "IHP^入院処方^MR9P" if place.inpatient else "OHP^外来処方^MR9P~OHO^院外処方^MR9P"
    order, days = prescription.order, prescription.days
    start = day(prescription.day)
    for line in prescription.lines:
        drug = line.drug
        group = f"{order}_{line.rp:02d}_{line.order_in_rp:03d}"
        segments.append(orc(chart, place, control, order, "", group, "", prescription.entered))
        if line.per_day:
            amount = _digits(Decimal(line.per_day) * days)
            per_day = f"{line.per_day}^{drug.unit.replace('^', '&')}"
            duration = f"{days}^{chart.facility.duration_unit}"
        else:
            amount, per_day, duration = line.amount, "", ""
        dose_unit = '""' if line.dose_min == '""' else drug.unit
        segments.append(
            f"RXE||{drug.rxe2}|{line.dose_min}|{line.dose_max}|{dose_unit}|{drug.form}|{line.supplement}|||{amount}"
            f"|{drug.unit}||||{order}||||{per_day}||{categories}||||||{line.kind}"
        )
        occasions = f"|||||||{line.occasions}" if line.occasions else ""
        segments.append(f"TQ1|1||{line.tq1_3}|||{duration}|{start}{occasions}")
        segments.append(f"RXR|{drug.route}")
    return segments


def _line(rng: Random, drug: Drug, usage: Usage, rp: int, order_in_rp: int, *, plain: bool) -> Line:
    if drug.packs:
        return Line(rp, order_in_rp, drug, usage.tq1_3, _EXTERNAL, '""', "", "", "", rng.choice(drug.packs), "")
    dose = rng.choice(drug.doses)
    if not usage.times:
        occasions = rng.choice((5, 6, 10))
        amount = _digits(Decimal(dose) * occasions)
        kind = _AS_NEEDED if usage.code.startswith("1") else _EXTERNAL
        return Line(rp, order_in_rp, drug, usage.tq1_3, kind, dose, "", "", "", amount, str(occasions))
    if not plain and usage.times == 3 and drug.unit.startswith("TAB") and rng.random() < _UNEVEN_SHARE:
        # 不均等投与: two in the first intake, one in the others; the codes say which dose is how much.
        words = "~".join(f"V{n}{amount}NNNNN^{n}回目{amount}錠^JAMISDP01" for n, amount in ((1, 2), (2, 1), (3, 1)))
        return Line(rp, order_in_rp, drug, usage.tq1_3, _INTERNAL, "1", "2", words, "4", "", "")
    tq1_3 = usage.tq1_3
    if not plain and usage.times == 1 and rng.random() < _EVERY_OTHER_DAY_SHARE:
        tq1_3 += _EVERY_OTHER_DAY
    return Line(rp, order_in_rp, drug, tq1_3, _INTERNAL, dose, "", "", _digits(Decimal(dose) * usage.times), "", "")


def _digits(number: Decimal) -> str:
    """Plain digits without needless zeros: 1.0 is sent as 1, 100 stays 100."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
