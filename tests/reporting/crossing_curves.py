"""Learning curves whose crossing is known by hand."""

from __future__ import annotations

from fairtrial.reporting.verdicts.crossover_sentences import describe_leads
from fairtrial.reporting.verdicts.sentences import arms
from tests.reporting.judging import GN_WS

STEPS_MADE = 768  # 3072 images, four at a time
QUARTERS = (0.25, 0.5, 0.75, 1.0)
JITTER = 0.005  # of the treatment, up in odd seeds and down in even ones


def curve(steps, start, slope, shift=0.0):
    """Accuracies on a straight line over the schedule."""
    return [[round(part * steps), start + slope * part + shift, 0.5] for part in QUARTERS]


def planted(treatment=(0.65, 0.16), control=(0.5, 0.4), seconds=(6.0, 4.0), jitter=JITTER):
    """Treatment minus control is 0.15 - 0.24 f after a part f of the schedule, unless told otherwise."""

    def outcome(cell):
        ahead = {name: getattr(cell.settings, name) for name in GN_WS} == GN_WS
        steps = 3072 // cell.settings.batch_size
        shift = jitter * (2 * (cell.seed % 2) - 1) * ahead
        start, slope = treatment if ahead else control
        looks = curve(steps, start, slope, shift)
        return {
            "measured": {"val_curve": looks, "val_acc": looks[-1][1]},
            "spent": {"train_s": seconds[0] if ahead else seconds[1]},
        }

    return outcome


def told(curve):
    return describe_leads(curve, arms(curve.contrast)[:2])
