"""The report of everything ends in few lines: warnings that differ in their numbers alone are counted."""

from types import SimpleNamespace

from fairtrial.reporting.report.merged_warnings import merged_warnings

FLIP = "the exact sign-flip test cannot reject at n = 5 and level {}"
DATA = "data: 3.25 % of the test images have a near duplicate"


def study(label, levels, *others):
    findings = [
        SimpleNamespace(contrast=SimpleNamespace(name=f"at {level}"), warnings=(FLIP.format(level),))
        for level in levels
    ]
    own = [f"{finding.contrast.name}: {finding.warnings[0]}" for finding in findings]
    return label, SimpleNamespace(findings=findings, warnings=(*others, *own))


def test_warnings_of_several_contrasts_are_one_line_with_the_range_of_their_numbers():
    merged = merged_warnings(
        [study("shots", (0.0167, 0.05), DATA), study("norm", (0.025,), DATA, "incomplete: 3 of 4")]
    )
    assert merged == [
        f"{DATA}: 2 studies (shots, norm)",
        f"{FLIP.format('0.0167 to 0.05')}: 3 contrasts (shots 2, norm 1)",
        "norm: incomplete: 3 of 4",
    ]


def test_a_warning_that_stands_alone_names_its_contrast():
    assert merged_warnings([study("shots", (0.05,))]) == [f"shots: at 0.05: {FLIP.format(0.05)}"]


def test_numbers_that_are_parts_of_names_or_have_signs_make_no_range():
    """'lr of batch 8 to 128' was true of nobody, and -0.3 and -2.0 became '-0.3 to 2.0'."""
    said = (
        "lr of batch 8 chosen at 0.1", "lr of batch 128 chosen at 0.3",
        "-0.3 points [-1.2, 0.6]", "-2.0 points [-4.0, 0.1]", "set 3 of \0", "set # of 4",
    )  # fmt: skip
    findings = [SimpleNamespace(contrast=SimpleNamespace(name="a"), warnings=said)]
    warnings = tuple(f"a: {text}" for text in said)
    merged = merged_warnings([("norm", SimpleNamespace(findings=findings, warnings=warnings))])
    assert len(merged) == len(said) and not any(" to " in line for line in merged)
