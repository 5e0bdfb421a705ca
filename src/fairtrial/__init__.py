"""fairtrial: ablations of Big Transfer as fair trials between arms."""

__version__ = "0.1.0"
