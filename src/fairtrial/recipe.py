"""Public face of the recipes: `hyperrule`."""

from fairtrial.study.recipes import HyperRule, hyperrule

__all__ = ["HyperRule", "hyperrule"]
