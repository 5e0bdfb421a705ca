"""What refuses a contrast, on made-up records read through the real reader."""

import pytest

from fairtrial.execution import step_times
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.verdicts import findings
from fairtrial.study.budget import Budget
from fairtrial.study.study import Contrast
from tests.reporting.conftest import BN, ORIGIN

AT_4 = {"batch_size": 4}


def judged(make_study, publish, noise, odd):
    """The verdict where `odd(cell)` changes the records of bn at batch 4."""

    def outcome(cell):
        gain = 0.05 if cell.levels["norm"] == "gn" else 0.0
        result = {"measured": {"test_acc": 0.8 + gain + 0.005 * noise(cell, "acc")}}
        for part, values in (odd(cell) or {}).items():
            result[part] = result.get(part, {}) | values
        return result

    (finding,) = findings.judge(load.load(publish(make_study(), outcome)))
    return finding.verdict, finding.reason


def control(change):
    return lambda cell: change if cell.levels == BN | AT_4 else None


def test_equal_arms_have_a_verdict(make_study, publish, noise):
    assert judged(make_study, publish, noise, lambda cell: None)[0] == "better"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"measured": {"test_n": 500}}, "other test images inside the contrast: 500 and 596"),
        ({"drawn": {"subset": "another"}}, "other subset between arms at 10 seeds"),
        ({"drawn": {"order": "another"}}, "other order between arms at 10 seeds"),
        ({"drawn": {"data": "others"}}, "other data digest inside the contrast: images and others"),
        ({"origin": {"device": "cuda"}}, "other device inside the contrast: cpu and cuda"),
        ({"origin": {"precision": "bf16"}}, "other precision inside the contrast: bf16 and fp32"),
        ({"origin": {"torch": "2.14"}}, "other torch inside the contrast: 2.14 and 2.15"),
        ({"origin": {"kernels": "compiled"}}, "other kernels inside the contrast: compiled and torch"),
        ({"measured": {"test_reads": 5}}, "the test split was opened 5 times in a run"),
    ],
)
def test_what_differs_in_one_arm_refuses_the_contrast(make_study, publish, noise, change, says):
    assert judged(make_study, publish, noise, control(change)) == ("refused", says)


def test_parity_is_held_pair_by_pair_not_on_means(make_study, publish, noise):
    def odd(cell):
        share = 0.5 if cell.seed % 2 else 1.5
        return control({"spent": {"examples": round(3072 * share)}})(cell)

    verdict, reason = judged(make_study, publish, noise, odd)
    assert verdict == "refused" and "10 pairs of 10 differ in examples, by up to 100 %" in reason


def test_half_of_the_declared_examples_in_all_arms_is_refused(make_study, publish, noise):
    verdict, reason = judged(make_study, publish, noise, lambda c: {"spent": {"examples": 1536}})
    assert verdict == "refused"
    assert reason == "20 runs spent unlike the declared 3,072 examples, such as 1,536"


def judged_in_seconds(make_study, publish, name, share, rounds=None):
    """Findings and the budget row where gn+ws costs `share` times as much, at a noise of 3 % that cancels."""

    def outcome(cell):
        treated = cell.levels["norm"] == "gn" and cell.levels["weight_std"]
        noise = 1 + 0.03 * ((cell.seed + treated) % 3 - 1)
        accuracy = {"test_acc": 0.8 + (0.05 + 0.003 * (cell.seed % 4)) * treated}
        return {"measured": accuracy, "spent": {"train_s": noise * (share if treated else 1.0), "steps": 100}}

    made = make_study(name=name, budget=Budget(seconds=1), seeds=range(6))
    store = publish(made, outcome)
    if rounds:
        first = step_times.first_cells(made.cells())
        treated = {key for key, cell in first.items() if cell.arm.startswith("gn+ws")}
        times = {key: [0.01 * each for each in rounds] if key in treated else [0.01] * 3 for key in first}
        store.calibrate({}, ORIGIN, rounds=times)
    results = load.load(store)
    (finding,) = findings.judge(results)
    budget = fairness(results).frame.set_index("promise").loc["budget"]
    return finding, budget["holds"]


def test_seconds_that_are_shown_to_differ_refuse_and_an_open_ratio_is_a_stamp(make_study, publish):
    finding, holds = judged_in_seconds(make_study, publish, "study-0", 1.20)
    assert (finding.verdict, holds) == ("refused", "NO")
    assert finding.reason.startswith("the seconds of its arms differ by more than 2 %: ratio 1.200 [1.1")
    finding, holds = judged_in_seconds(make_study, publish, "study-1", 1.03)
    assert (finding.verdict, holds) == ("better", "open")
    assert any(s.startswith("cost parity open (ratio 1.030 [0.9") for s in finding.stamps)


def test_launches_after_the_runs_decide_what_the_runs_leave_open(make_study, publish):
    finding, holds = judged_in_seconds(make_study, publish, "study-2", 1.03, rounds=(1.03, 1.031, 1.029))
    assert (finding.verdict, holds) == ("refused", "NO") and "by launches" in finding.reason
    finding, holds = judged_in_seconds(make_study, publish, "study-3", 1.03, rounds=(1.004, 1.006, 1.005))
    assert (finding.verdict, holds, finding.stamps) == ("better", "yes", ())


def judged_by_ways(make_study, publish, ran, chosen):
    """The finding and the row of arms that ran as `ran` says, where calibration chose `chosen`, by norm."""
    made = make_study(
        budget=Budget(seconds=1), seeds=range(6), factors={"norm": ("bn", "gn")}, aa=None,
        primary=Contrast("norms", {"norm": "gn"}, {"norm": "bn"}),
    )  # fmt: skip
    key = {cell.arm: arm for arm, cell in step_times.first_cells(made.cells()).items()}

    def outcome(cell):
        accuracy = 0.8 + (0.05 + 0.003 * (cell.seed % 4)) * (cell.arm == "gn")
        origin = {"kernels": "compiled"}
        return {"measured": {"test_acc": accuracy}, "drawn": ran.get(cell.arm, {}), "origin": origin}

    store = publish(made, outcome)
    ways = {key[arm]: way for arm, way in chosen.items()}
    store.calibrate(dict.fromkeys(key.values(), 0.01), ORIGIN, **({"ways": ways} if ways else {}))
    results = load.load(store)
    rows = fairness(results).frame.set_index("promise")
    (finding,) = findings.judge(results)
    return finding, rows.loc["implementation"]


def test_arms_may_differ_in_layout_as_calibrated_and_the_report_says_which(make_study, publish):
    ways = {"bn": {"layout": "nchw", "kernels": "torch"}, "gn": {"layout": "nhwc", "kernels": "fastest"}}
    finding, row = judged_by_ways(make_study, publish, ways, ways)
    assert (finding.verdict, row["holds"]) == ("better", "as calibrated")
    assert row["what the records show"] == (
        "the fastest that calibration found. nchw on torch's kernels: bn. nhwc on our compiled kernels: gn. "
        "our own kernels meet torch's"
    )


@pytest.mark.parametrize(
    ("ran", "chosen", "says"),
    [
        ({"bn": "nhwc", "gn": "nhwc"}, {"bn": "nchw", "gn": "nhwc"}, "6 runs in another layout"),
        ({"bn": "nchw"}, {"bn": "nchw", "gn": "nhwc"}, "6 runs in another layout"),
        ({"bn": "nchw"}, {}, "6 runs in another layout"),
        ({"gn": "nhwc"}, {"gn": "nhwc"}, "some arms ran in the fastest layout"),
    ],
)
def test_another_way_than_calibrated_refuses(make_study, publish, ran, chosen, says):
    ways = [{a: {"layout": v, "kernels": "fastest"} for a, v in found.items()} for found in (ran, chosen)]
    finding, _ = judged_by_ways(make_study, publish, *ways)
    assert finding.verdict == "refused" and finding.reason.startswith(says)
