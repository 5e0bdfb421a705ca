"""What refuses a contrast, on made-up records read through the real reader."""

import pytest

from fairtrial.execution import step_times
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.verdicts import findings
from fairtrial.reporting.verdicts.fairness_checks import study_checks
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
        ({"measured": {"test_n": 500}}, "other test images: 500 and 596"),
        ({"drawn": {"subset": "another"}}, "other subset between arms at 10 seeds"),
        ({"drawn": {"order": "another"}}, "other order between arms at 10 seeds"),
        ({"drawn": {"data": "others"}}, "other data digest: images and others"),
        ({"origin": {"device": "cuda"}}, "other device: cpu and cuda"),
        ({"origin": {"precision": "bf16"}}, "other precision: bf16 and fp32"),
        ({"origin": {"torch": "2.14"}}, "other torch: 2.14 and 2.15"),
        ({"origin": {"kernels": "compiled"}}, "other kernels: compiled and torch"),
        ({"measured": {"test_reads": 5}}, "the test split was opened 5 times in a run"),
    ],
)
def test_what_differs_in_one_arm_refuses_the_contrast(make_study, publish, noise, change, says):
    assert judged(make_study, publish, noise, control(change)) == ("refused", says)


@pytest.mark.parametrize(
    ("kind", "spent"),
    [("examples", "examples"), ("steps", "steps"), ("flops", "flops"), ("seconds", "train_s")],
)
def test_a_budget_that_was_not_measured_is_refused(make_study, publish, noise, kind, spent):
    def outcome(cell):
        one = {"examples": 3072, "steps": 48, "flops": 10**9, "train_s": 2.0}
        lost = {spent: 0} if cell.levels == BN | AT_4 else {}
        return {"measured": {"test_acc": 0.8 + 0.005 * noise(cell, "acc")}, "spent": one | lost}

    amount = {"examples": 3072, "steps": 48, "flops": 10**9, "seconds": 2}[kind]
    (finding,) = findings.judge(load.load(publish(make_study(budget=Budget(**{kind: amount})), outcome)))
    assert (finding.verdict, finding.reason) == ("refused", f"{kind} of 10 runs not measured")


def test_arms_of_one_norm_that_start_apart_are_refused(make_study, publish, noise):
    def outcome(cell):
        init = f"{cell.seed} {cell.settings.batch_size if cell.seed < 3 else 'one'}"
        return {"measured": {"test_acc": 0.8 + 0.005 * noise(cell, "acc")}, "drawn": {"init": init}}

    batch = Contrast("batch", {"batch_size": 4}, {"batch_size": 64}, {"norm": "gn", "weight_std": True})
    (finding,) = findings.judge(load.load(publish(make_study(primary=batch), outcome)))
    assert (finding.verdict, finding.reason) == (
        "refused",
        "other initial weights between arms at 3 seeds",
    )


def test_one_checkpoint_that_was_two_files_is_refused(make_transfer, publish):
    def outcome(cell):
        result = {"measured": {"test_acc": 0.5 + cell.seed / 1000}}
        if cell.seed == 4 and cell.upstream_seed is not None:
            result["drawn"] = {"upstream": {"file": "weights", "sha256": "others", "overlap": 0}}
        return result

    (finding,) = findings.judge(load.load(publish(make_transfer(), outcome)))
    assert finding.verdict == "refused"
    assert finding.reason == "1 checkpoint with other weights between runs"


@pytest.mark.parametrize(
    ("promise", "change"),
    [
        ("same start", {"drawn": {"init": "another"}}),
        ("same images", {"drawn": {"subset": "another"}}),
        ("same images", {"drawn": {"data": "others"}}),
        ("same order", {"drawn": {"order": "another"}}),
        ("budget", {"spent": {"examples": 4000}}),
        ("budget", {"spent": {"examples": 0}}),
        ("test set", {"measured": {"test_reads": 2}}),
        ("test set", {"measured": {"test_n": 500}}),
        ("one machine", {"origin": {"torch": "2.14"}}),
    ],
)
def test_every_row_that_is_no_refuses_with_its_reason(make_study, publish, noise, promise, change):
    def outcome(cell):
        mine = change if cell.levels == BN | AT_4 and cell.seed == 4 else {}
        return {"measured": {"test_acc": 0.8 + 0.005 * noise(cell, "acc")} | mine.get("measured", {})} | {
            part: values for part, values in mine.items() if part != "measured"
        }

    batch = Contrast("batch", {"batch_size": 4}, {"batch_size": 64}, {"norm": "bn", "weight_std": False})
    results = load.load(publish(make_study(primary=batch), outcome))
    (broken,) = [row for row in fairness(results).frame.to_dict("records") if row["holds"] == "NO"]
    (finding,) = findings.judge(results)
    assert broken["promise"] == promise and finding.verdict == "refused"
    assert finding.reason and broken["what the records show"].startswith(finding.reason.partition(";")[0])


@pytest.mark.parametrize(
    ("about_sizes", "micro", "verdict", "holds"),
    [(True, "auto", "refused", "NO"), (True, 2, "refused", "NO"), (False, "auto", "better", "open")],
)
def test_no_claim_on_batch_sizes_rests_on_split_batch_statistics(
    make_study, publish, noise, about_sizes, micro, verdict, holds
):
    """`bn_split` lets memory choose the images of a statistic, which is the treatment of a batch size."""

    def outcome(cell):
        gain = 0.05 * (cell.levels["norm"] == "gn")
        split = {"micro_batch": 2} if micro == "auto" and cell.levels["norm"] == "bn" else {}
        return {"measured": {"test_acc": 0.8 + gain + 0.005 * noise(cell, "acc")}, "drawn": split}

    sizes = {"batch_size": (4, 64)} if about_sizes else {}
    at = AT_4 if about_sizes else {}
    made = make_study(
        factors={"norm": ("bn", "gn"), **sizes}, fixed={"micro_batch": micro, "bn_split": True},
        primary=(Contrast("norms", {"norm": "gn"}, {"norm": "bn"}, at),), aa=None,
    )  # fmt: skip
    results = load.load(publish(made, outcome))
    (finding,) = findings.judge(results)
    rows = fairness(results).frame.set_index("promise")
    said = "BN's statistics are those of micro-batches of 2 images in 10 runs (bn_split)"
    assert (finding.verdict, rows.loc["batch statistics", "holds"]) == (verdict, holds)
    assert said in (finding.reason, *finding.stamps)


def test_which_processor_it_was_decides_where_seconds_are_the_budget_alone(make_study, publish, noise):
    def odd(cell):
        origin = {"cpu": "another", "precision": None, "flags": {"instructions": "AVX512"}}
        return control({"origin": origin})(cell)

    assert judged(make_study, publish, noise, odd)[0] == "better"
    (check,) = [
        check
        for check in study_checks(load.load(publish(make_study(name="again"), lambda c: odd(c) or 0.9)))
        if check.promise == "one machine"
    ]
    assert check.holds == "yes" and "another and made up" in check.shown
    assert "precision fp32" in check.shown and "None" not in check.shown
    assert "instructions AVX512;" in check.shown


def test_precision_is_told_where_it_is_a_setting(make_study, publish):
    """Each study said "precision not recorded": records name it among their settings."""
    results = load.load(publish(make_study(), lambda cell: {"origin": {"precision": None}}))
    shown = {check.promise: check.shown for check in study_checks(results)}
    assert shown["one machine"].endswith("; precision fp32")


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
