from xml.etree import ElementTree

from tinydl import nn


def model():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"), nn.ReLU(), nn.Residual(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
    )


def test_text_is_indented_as_pytorchs():
    assert repr(model()) == (
        "Sequential(\n"
        "  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)\n"
        "  (1): ReLU()\n"
        "  (2): Residual(\n"
        "    (block): Sequential(\n"
        "      (0): Linear(in_features=2, out_features=2, bias=True)\n"
        "      (1): Tanh()\n"
        "    )\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Sequential()) == "Sequential()"


def test_settings_come_before_what_is_inside():
    class Net(nn.Module):
        def __init__(self):
            self.inner = nn.ReLU()

        def extra_repr(self):
            return "depth=1"

    assert repr(Net()) == "Net(\n  depth=1\n  (inner): ReLU()\n)"


def test_html_is_well_formed_and_says_everything():
    html = model()._repr_html_()
    root = ElementTree.fromstring(f"<p>{html.replace('<br>', '<br/>').replace('details open', 'details')}</p>")
    assert len(root.findall(".//table")) == 3
    text = "".join(root.itertext())
    for part in (
        "Sequential: 46 parameters",
        "Conv2d(1, 4, kernel_size=(3, 3)",
        "weight (4, 1, 3, 3)",
        "bias (2,)",
        "40",
    ):
        assert part in text


def test_html_of_a_single_layer_and_of_odd_names():
    assert "weight (3, 2)" in nn.Linear(2, 3)._repr_html_()
    assert "ReLU" in nn.ReLU()._repr_html_()

    class Net(nn.Module):
        def __init__(self):
            self.add_module("<b>", nn.ReLU())
            self.own = nn.Parameter([1.0])

    html = Net()._repr_html_()
    assert "&lt;b&gt;" in html
    assert "own (1,)" in html
