import pytest

from tinydl import plots

FOUND = {"conv": [0.98, 0.4], "fc": [0.99, 0.98]}


def test_a_line_for_each_layer_and_one_for_the_dense_network():
    panel = plots.sensitivity([0.5, 0.9], FOUND, dense=0.99)
    assert [line.get_label() for line in panel.lines] == ["conv", "fc", "dense"]
    assert panel.lines[0].get_xydata().tolist() == [[50, 98], [90, 40]]
    assert panel.lines[2].get_ydata() == [99, 99]
    assert panel.get_title(loc="left") == "accuracy suffers most from pruning conv"
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["conv", "fc", "dense"]


def test_eighteen_layers_look_different_and_more_go_by_depth():
    for count in (18, 19, 60):
        panel = plots.sensitivity([0.5], {f"layer{i}": [0.5] for i in range(count)})
        looks = {(str(line.get_color()), line.get_linestyle(), line.get_marker()) for line in panel.lines}
        assert len(looks) == count


def test_it_draws_where_it_is_told():
    first = plots.sensitivity([0.5, 0.9], FOUND)
    assert plots.sensitivity([0.5, 0.9], FOUND, ax=first) is first


@pytest.mark.parametrize(
    "sparsities, values, message",
    [
        ([0.5], {}, "values is empty"),
        ([], {"a": []}, "sparsities must be some shares"),
        ([0.5, 0.9], {"a": [0.5]}, r"values\['a'\] must be 2 shares.*got \[0\.5\]"),
        ([0.5], {"a": [98.0]}, "shares from 0 to 1"),
        ([0.5], {"a": [float("nan")]}, "shares from 0 to 1"),
        ([50], {"a": [0.5]}, "sparsities must be 1 shares from 0 to 1"),
    ],
)
def test_refuses_by_name(sparsities, values, message):
    with pytest.raises(ValueError, match=message):
        plots.sensitivity(sparsities, values)
