"""The BiT-HyperRule of recipe.py against the tables of the paper and of the released code."""

from __future__ import annotations

import pytest

from fairtrial.study.recipes import VARIANTS, Recipe, Stairs, hyperrule

# (images, steps, MixUp alpha) of both versions: BiT 3.3 and bit_hyperrule.py agree here.
SIZES = [
    (1, 500, 0.0),
    (19_999, 500, 0.0),
    (20_000, 10_000, 0.1),
    (20_001, 10_000, 0.1),
    (499_999, 10_000, 0.1),
    (500_000, 20_000, 0.1),
    (500_001, 20_000, 0.1),
    (1_281_167, 20_000, 0.1),
]
PAPER_DROPS = {500: (150, 300, 450), 10_000: (3_000, 6_000, 9_000), 20_000: (6_000, 12_000, 18_000)}
CODE_SUPPORTS = {  # warm-up ends, three drops, end: get_schedule in bit_hyperrule.py
    500: (100, 200, 300, 400, 500),
    10_000: (500, 3_000, 6_000, 9_000, 10_000),
    20_000: (500, 6_000, 12_000, 18_000, 20_000),
}
IMAGES_OF = {500: 1_000, 10_000: 50_000, 20_000: 1_000_000}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("images", "steps", "mixup"), SIZES)
def test_steps_and_mixup_change_at_20_000_and_500_000_images(variant, images, steps, mixup):
    rule = hyperrule(images, 32, variant=variant)
    assert (rule.steps, rule.mixup) == (steps, mixup)


@pytest.mark.parametrize(
    ("image_size", "big_model", "paper", "code"),
    [
        (32, False, (160, 128), (160, 128)),
        (32, True, (160, 128), (160, 128)),
        (95, False, (160, 128), (160, 128)),
        ((96, 95), False, (160, 128), (160, 128)),
        (96, False, (448, 384), (512, 480)),
        ((48, 193), False, (448, 384), (512, 480)),
        (224, False, (448, 384), (512, 480)),
        (224, True, (512, 480), (512, 480)),
    ],
)
def test_the_resolution_follows_the_area_and_in_the_paper_the_network(image_size, big_model, paper, code):
    for variant, expected in (("paper", paper), ("code", code), ("code-light", code)):
        rule = hyperrule(1_000, image_size, variant=variant, big_model=big_model)
        assert (rule.resize, rule.crop) == expected


@pytest.mark.parametrize(
    ("variant", "batch_size", "lr"), [("paper", 512, 0.003), ("code", 512, 0.003), ("code-light", 128, 0.001)]
)
def test_the_optimizer_is_the_published_one(variant, batch_size, lr):
    rule = hyperrule(1_000, 32, variant=variant)
    assert (rule.batch_size, rule.lr, rule.momentum, rule.weight_decay) == (batch_size, lr, 0.9, 0.0)
    assert rule.head == "zero"


def test_batch_and_rate_are_replaced_one_by_one():
    assert hyperrule(1_000, 32, batch_size=64).lr == 0.003
    changed = hyperrule(1_000, 32, lr=0.01)
    assert (changed.lr, changed.batch_size) == (0.01, 512)


@pytest.mark.parametrize("steps", IMAGES_OF)
def test_the_rate_of_the_paper_falls_at_30_60_and_90_percent_without_warm_up(steps):
    rule = hyperrule(IMAGES_OF[steps], 32, variant="paper")
    assert rule.steps == steps
    for step in range(steps):
        expected = 0.003 / 10 ** sum(drop <= step for drop in PAPER_DROPS[steps])
        assert rule.lr_at(step) == pytest.approx(expected, rel=1e-12), step


def rate_of_the_code(step: int, supports: tuple[int, ...], base: float) -> float:
    """By another road than the rule: the staircase as a list of half-open runs, each drop one step late."""
    warm, first, second, third, end = supports
    if step < warm:
        return base * step / warm
    runs = [(first + 1, base), (second + 1, base / 10), (third + 1, base / 100), (end, base / 1000)]
    return next(rate for stop, rate in runs if step < stop)


@pytest.mark.parametrize(("variant", "base"), [("code", 0.003), ("code-light", 0.001)])
@pytest.mark.parametrize("steps", IMAGES_OF)
def test_the_rate_of_the_code_warms_up_and_falls_one_step_late(variant, base, steps):
    rule = hyperrule(IMAGES_OF[steps], 32, variant=variant)
    for step in range(steps):
        expected = rate_of_the_code(step, CODE_SUPPORTS[steps], base)
        assert rule.lr_at(step) == pytest.approx(expected, rel=1e-12), step


def test_the_small_schedule_of_the_code_at_its_corners():
    rule = hyperrule(1_000, 32, variant="code")
    corners = {
        0: 0.0, 1: 3e-5, 99: 2.97e-3, 100: 3e-3, 200: 3e-3, 201: 3e-4, 300: 3e-4, 301: 3e-5, 401: 3e-6,
    }  # fmt: skip
    assert {step: rule.lr_at(step) for step in corners} == pytest.approx(corners, rel=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("steps", [50, 250, 1_000, 777])
def test_another_number_of_steps_stretches_the_schedule(variant, steps):
    rule = hyperrule(1_000, 32, variant=variant)
    for step in range(steps):
        position = step * 500 / steps
        drops = (150, 300, 450) if variant == "paper" else (200, 300, 400)
        fallen = sum(drop <= position if variant == "paper" else drop < position for drop in drops)
        warm = min(1.0, position / 100) if variant != "paper" else 1.0
        assert rule.lr_at(step, steps) == pytest.approx(rule.lr * warm / 10**fallen, rel=1e-12), step


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("images", IMAGES_OF.values())
@pytest.mark.parametrize("steps", [None, 50, 777])
def test_the_recipe_for_the_training_loop_has_the_same_rate_at_every_step(variant, images, steps):
    rule = hyperrule(images, 32, variant=variant)
    recipe = rule.recipe(mixup=0.0)
    steps = steps or rule.steps
    rates = [recipe.lr_at(step / steps) for step in range(steps)]
    # The position comes from a rounded fraction, and is itself rounded to 1e-9 steps.
    assert rates == pytest.approx([rule.lr_at(step, steps) for step in range(steps)], rel=2e-9, abs=0)


def test_the_recipe_takes_mixup_from_its_caller_and_the_rest_from_the_rule():
    recipe = hyperrule(50_000, 32, variant="code-light").recipe(mixup=0.0, micro_batch=32)
    stairs = Stairs(10_000, (3_000, 6_000, 9_000), 500, late=True)
    assert recipe == Recipe(128, 32, 0.001, 0.0, 0.0, 0.0, 0.9, stairs)


def test_an_unknown_variant_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown variant 'papers'; known: paper, code, code-light"):
        hyperrule(1_000, 32, variant="papers")


@pytest.mark.parametrize(("images", "size"), [(0, 32), (-1, 32), (10, 0), (10, (32, -1))])
def test_a_task_without_images_or_pixels_is_refused(images, size):
    with pytest.raises(ValueError, match="expected at least 1 image and 1 pixel"):
        hyperrule(images, size)
