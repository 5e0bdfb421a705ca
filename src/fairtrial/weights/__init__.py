"""Official BiT files and our own checkpoints, into networks and back; nothing here reads a pickle."""

from fairtrial.weights.bit import describe, load_bit
from fairtrial.weights.checkpoint import load, save
from fairtrial.weights.fetch import fetch
from fairtrial.weights.fingerprint import probe
from fairtrial.weights.official_files import OFFICIAL, Official
from fairtrial.weights.weights_source import Source

__all__ = ["OFFICIAL", "Official", "Source", "describe", "fetch", "load", "load_bit", "probe", "save"]
