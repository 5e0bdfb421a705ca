"""The library tests its own intervals by simulation, with wrong methods that it must catch."""
