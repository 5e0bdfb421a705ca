"""RetinaNet on a BiT backbone: parts counted by hand, levels by the strides, and a detector that learns."""

import pytest
import torch

from fairtrial.layers import NORMS, StdConv2d
from fairtrial.models.detector import LEVELS, PARTS, create_detector, describe
from fairtrial.models.resnet import create_model
from fairtrial.models.torchvision_backbones import count_macs
from fairtrial.training.flops import macs_by_layer
from tests.models.test_resnet import GMACS, MILLIONS

WIDTH = {"r50x1": 1, "r101x3": 3}
HEAD_PIXELS = 128**2 + 64**2 + 32**2 + 16**2 + 8**2  # of P3 to P7 at 1024


@pytest.fixture(scope="module", params=WIDTH)
def told(request):
    return describe(request.param)


def parameters_of_the_pyramid(width):
    lateral = sum(256 * width * 2**number * 256 + 256 for number in (1, 2, 3))
    return lateral + 5 * (9 * 256 * 256 + 256)  # three outputs, P6 and P7


def parameters_of_a_head(outputs):
    return 4 * (9 * 256 * 256 + 256) + 9 * 256 * outputs + outputs


def test_pyramid_and_heads_have_the_parameters_counted_by_hand(told):
    parts = told["parts"]
    assert parts["fpn"]["parameters"] == parameters_of_the_pyramid(WIDTH[told["model"]])
    assert parts["class head"]["parameters"] == parameters_of_a_head(9 * 80) == 4_019_920
    assert parts["box head"]["parameters"] == parameters_of_a_head(9 * 4) == 2_443_300


def test_the_backbone_is_the_published_network_without_its_linear_map(told):
    name = told["model"]
    millions = told["parts"]["backbone"]["parameters"] / 1e6
    linear = 1000 * (2048 * WIDTH[name] + 1) / 1e6
    assert millions == pytest.approx(MILLIONS[name][0] - linear, abs=0.0052)


def test_the_backbone_costs_64_times_what_it_costs_at_128_pixels(told):
    """1024 = 8 x 128: every convolution meets 64 times as many places; the linear map has none."""
    name = told["model"]
    macs = told["parts"]["backbone"]["macs"]
    assert macs / 64 / 1e9 == pytest.approx(GMACS[name][2], abs=0.0052)
    small = macs_by_layer(name, 128, 10)
    assert macs == 64 * (sum(small.values()) - small["head.conv"])


def test_pyramid_and_heads_cost_what_they_cost_by_hand(told):
    places = {3: 128**2, 4: 64**2, 5: 32**2, 6: 16**2, 7: 8**2}
    width = WIDTH[told["model"]]
    lateral = sum(256 * width * 2**number * 256 * places[number + 2] for number in (1, 2, 3))
    assert told["parts"]["fpn"]["macs"] == lateral + 9 * 256 * 256 * sum(places.values())
    assert told["parts"]["class head"]["macs"] == HEAD_PIXELS * (4 * 9 * 256 * 256 + 9 * 256 * 720)
    assert told["parts"]["box head"]["macs"] == HEAD_PIXELS * (4 * 9 * 256 * 256 + 9 * 256 * 36)


def test_the_levels_are_those_of_the_strides(told):
    assert told["levels"] == {
        level: [256, 1024 // 2**power, 1024 // 2**power] for power, level in enumerate(LEVELS, start=3)
    }


def test_the_parts_are_the_whole(told):
    with torch.device("meta"):
        whole = create_detector(told["model"])
    assert list(told["parts"]) == list(PARTS)
    assert sum(part["parameters"] for part in told["parts"].values()) == sum(
        each.numel() for each in whole.parameters()
    )


def test_the_backbone_keeps_standardized_filters_and_group_norm():
    with torch.device("meta"):
        body = create_detector("r50x1").backbone.body.network
        other = create_detector("r50x1", norm="bn", weight_std=False).backbone.body.network
    filters = [each for each in body.modules() if isinstance(each, torch.nn.Conv2d)]
    assert len(filters) == 1 + 16 * 3 + 4
    assert all(isinstance(each, StdConv2d) for each in filters)
    assert type(body.head.norm) is type(NORMS["gn"].build(64))
    assert not any(isinstance(each, StdConv2d) for each in other.modules())
    assert type(other.head.norm) is type(NORMS["bn"].build(64))


def test_the_maps_are_those_of_the_network_itself():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        images = torch.randn(2, 3, 64, 64)
        detector = create_detector("r50x1").eval()
        for weight in detector.backbone.body.network.parameters():
            torch.nn.init.uniform_(weight, -0.1, 0.1)
    network = create_model("r50x1", 1).eval()
    network.load_state_dict(detector.backbone.body.network.state_dict(), strict=False)
    with torch.no_grad():
        maps = detector.backbone.body(images)
        assert [tuple(each.shape[1:]) for each in maps.values()] == [(512, 8, 8), (1024, 4, 4), (2048, 2, 2)]
        torch.testing.assert_close(maps["C5"].mean((2, 3)), network.features(images))


def test_it_is_a_detector_that_has_losses_gradients_and_boxes():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        detector = create_detector("r50x1", 3, side=64)
        for weight in detector.backbone.body.network.parameters():
            if weight.ndim == 4:
                torch.nn.init.kaiming_normal_(weight)
        images = [torch.rand(3, 64, 64)]
    boxes = [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    losses = detector(images, boxes)
    sum(losses.values()).backward()
    assert set(losses) == {"classification", "bbox_regression"}
    gradient = detector.backbone.body.network.root.conv.weight.grad
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    found = detector.eval()(images)[0]
    assert set(found) == {"boxes", "labels", "scores"}


def test_building_one_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    with torch.device("meta"):
        create_detector("r50x1")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_of_three_blocks_is_refused():
    with pytest.raises(ValueError, match="mini has 3 blocks"):
        create_detector("mini")


def test_a_layer_that_is_called_twice_counts_twice():
    """Heads see five levels; a baseline's layers see one image."""
    layer = torch.nn.Conv2d(2, 4, 3, padding=1)
    network = torch.nn.Sequential(layer)
    found = count_macs(network, lambda: (network(torch.ones(1, 2, 5, 5)), network(torch.ones(1, 2, 3, 3))))
    assert found == {"0": (25 + 9) * 2 * 4 * 9}
