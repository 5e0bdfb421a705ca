"""Training and evaluation of one network: loop, optimizer, augmentation, fine-tuning modes, precision, timing.

Knows no study, no store and no file.
"""
