"""Official BiT files and our own checkpoints, into networks and back; nothing here reads a pickle."""

from fairtrial.weights.bit import describe, load_bit
from fairtrial.weights.checkpoint import fingerprint, load, save
from fairtrial.weights.fetch import fetch
from fairtrial.weights.official_files import OFFICIAL, Official
from fairtrial.weights.weights_source import Source

__all__ = ["OFFICIAL", "Official", "Source", "describe", "fetch", "fingerprint", "load", "load_bit", "save"]
