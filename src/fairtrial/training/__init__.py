"""Training and evaluation of one network: loop, optimizer, augmentation, fine-tuning, precision, timing.

Knows no study, no store and no file.
"""
