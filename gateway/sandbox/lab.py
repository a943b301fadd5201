"""OML-11 laboratory results (検体検査結果), OUL^R22: SPM, OBR, ORC, OBX (JAHIS lab; HL7 v2.5 chapter 7)."""

from random import Random
from typing import NamedTuple

from gateway.sandbox.segments import Chart, Moment, Place, at, msh, orc
from gateway.sandbox.tables import LabItem, Panel, panels

Segments = list[str]


class Result(NamedTuple):
    obx2: str
    item: LabItem
    value: str
    obx8: str


class Specimen(NamedTuple):
    """One SPM with its one order group."""

    panel: Panel
    number: str
    results: tuple[Result, ...]


class Report(NamedTuple):
    """What one order found; rendered as a preliminary or the final file."""

    order: str
    collected: str
    """YYYYMMDDHHMM, also the care date."""
    specimens: tuple[Specimen, ...]

    def preliminary(self) -> "Report":
        """What was known first: the first half of each specimen's results."""
        return self._replace(
            specimens=tuple(s._replace(results=s.results[: (len(s.results) + 1) // 2]) for s in self.specimens)
        )


def draw(rng: Random, chart: Chart, order: str, day: int, second: int) -> Report:
    """Results for this person: normal where nothing is wrong, bent by the tags of the person's problems."""
    random = rng.random
    tags = chart.person.tags
    sex = chart.person.sex
    chosen = [panel for panel in panels() if random() < panel.share] or [panels()[0]]
    specimens = []
    for count, panel in enumerate(chosen, start=1):
        results = tuple(_result(rng, item, sex, item.tag in tags) for item in panel.items if random() < 0.85)
        if not results:
            results = (_result(rng, panel.items[0], sex, panel.items[0].tag in tags),)
        # Specimen numbers (SPM-2) are unique in the hospital: order number and a running count.
        specimens.append(Specimen(panel, f"{order[3:]}{count:03d}", results))
    return Report(order, at(day, second)[:12], tuple(specimens))


def render(
    chart: Chart, place: Place, report: Report, made: Moment, control_id: str, *, status: str = "F", control: str = "SC"
) -> Segments:
    """The message. `status` is OBX-11 (P or F), `control` ORC-1 (SC, or CA in a delete message)."""
    segments = [msh(chart.facility, made, "OUL^R22^OUL_R22", control_id), chart.pid, place.pv1]
    append = segments.append
    sex = chart.person.sex
    collected = report.collected
    order_status = "CA" if control == "CA" else "CM" if status == "F" else "IP"
    tail = f"|||{status}|||{collected}"
    for number, specimen in enumerate(report.specimens, start=1):
        append(f"SPM|{number}|{specimen.number}||{specimen.panel.spm4}|||||||||||||{collected}")
        append(
            f"OBR|1|{report.order}|{specimen.number}|{specimen.panel.obr4}|||{collected}|{collected}"
            f"||||||||{place.doctor.xcn}||||||{made.seconds}"
        )
        append(
            orc(
                chart,
                place,
                control,
                report.order,
                specimen.number,
                "",
                "" if control == "CA" else order_status,
                made.seconds,
            )
        )
        for n, (obx2, item, value, obx8) in enumerate(specimen.results, start=1):
            append(f"OBX|{n}|{obx2}|{item.obx3}||{value}|{item.unit}|{item.ranges[sex]}|{obx8}{tail}")
    return segments


def _result(rng: Random, item: LabItem, sex: str, ill: bool) -> Result:
    if item.choices:
        return _qualitative(rng, item, ill)
    low, high = item.limits[sex]
    if ill:
        from_, to = item.ill
        number = from_ + (to - from_) * rng.random()
    else:
        # 5 % of healthy people lie outside by definition of the limits: two standard deviations each way.
        number = rng.gauss((low + high) / 2, (high - low) / 4)
    if number < item.below:
        return Result("ST", item, f"<{item.below:.{item.decimals}f}", "")
    if number > item.above:
        return Result("ST", item, f">{item.above:.{item.decimals}f}", "H")
    value = f"{max(number, 0):.{item.decimals}f}"
    sent = float(value)
    if sent > high:
        flag = "HH" if sent > item.panic[1] else "H"
    elif sent < low:
        flag = "LL" if sent < item.panic[0] else "L"
    else:
        flag = ""
    return Result("NM", item, value, flag)


def _qualitative(rng: Random, item: LabItem, ill: bool) -> Result:
    words = item.ill_choices if ill and item.ill_choices else item.choices
    word = words[int(rng.random() * len(words))]
    return Result("ST", item, word, "" if word == item.choices[0] else "A")
