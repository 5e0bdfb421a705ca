"""Networks: ResNetV2 and its blocks, torchvision's as baselines, RetinaNet on a BiT backbone.

Knows no study, no store and no environment.
"""
