"""What refuses a contrast, on made-up records read through the real reader."""

import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings
from tests.reporting.conftest import BN

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
