"""Official BiT files and our own checkpoints, into networks and back; nothing here reads a pickle."""

from fairtrial.weights.bit import describe, load_bit
from fairtrial.weights.checkpoint import load, save
from fairtrial.weights.fetch import fetch
from fairtrial.weights.known import OFFICIAL, Official
from fairtrial.weights.probe import probe
from fairtrial.weights.source import Source

__all__ = ["OFFICIAL", "Official", "Source", "describe", "fetch", "load", "load_bit", "probe", "save"]
