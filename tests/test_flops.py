"""Counted operations against hand counts."""

from fairtrial.flops import flops_of_step


def test_the_flops_of_a_step_are_those_counted_by_hand_for_one_convolution_more():
    one, two = flops_of_step("mini", 1, 16, 10), flops_of_step("mini", 2, 16, 10)
    assert two == 2 * one
    head = 3 * 2 * 256  # forward, and backward twice, of one more class
    assert flops_of_step("mini", 1, 16, 11) - one == head
