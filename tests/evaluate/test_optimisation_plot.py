from xml.etree import ElementTree

import pytest

from harken.evaluate.optimisation_plot import Arm, Panel, gold_along_kl
from harken.evaluate.svg import SVG, check_svg

FALLING = Arm("single", [0.0, 1.0, 2.0], [0.0, 1.0, -1.0], [-0.1, 0.8, -1.3], [0.1, 1.2, -0.7], [0.0, 0.9, -0.9])
HELD = Arm("worst", [0.0, 1.0, 2.0], [0.0, 1.0, 1.5])


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{{{SVG}}}text")]


def test_every_panel_and_arm_is_named_once():
    panels = [Panel("best of n", [FALLING, HELD], ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])), Panel("PPO", [HELD])]
    svg = check_svg(gold_along_kl(panels, "Gold along KL"))
    found = words(svg)
    for name in ("best of n", "PPO", "single", "worst", "fitted form", "proxy of the first (right)"):
        assert found.count(name) == 1
    assert found.count("√KL") == 2
    assert gold_along_kl(panels, "Gold along KL") == svg


def test_points_are_drawn_in_the_order_of_their_distance():
    turned = Arm("single", [2.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [-1.3, -0.1, 0.8], [-0.7, 0.1, 1.2], [-0.9, 0.0, 0.9])
    assert gold_along_kl([Panel("a", [turned])], "same") == gold_along_kl([Panel("a", [FALLING])], "same")


@pytest.mark.parametrize(
    ("panels", "why"),
    [
        ([], "at least one panel"),
        ([Panel("empty", [])], "an arm in each"),
        ([Panel("a", [Arm("x", [0.0, 1.0], [0.0])])], "one length"),
        ([Panel("a", [Arm("x", [0.0], [0.0], low=[0.0])])], "both its edges"),
    ],
)
def test_what_cannot_be_drawn_is_refused(panels, why):
    with pytest.raises(ValueError, match=why):
        gold_along_kl(panels, "wrong")
