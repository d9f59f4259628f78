import csv

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinydl import plots

ROWS = [
    {"epoch": 1, "train_loss": 0.9, "validation_loss": 0.8, "validation_accuracy": 0.7, "lr": 0.1},
    {"epoch": 2, "train_loss": 0.5, "validation_loss": 0.4, "validation_accuracy": 0.95, "lr": 0.1},
    {"epoch": 3, "train_loss": 0.3, "validation_loss": 0.6, "validation_accuracy": 0.9, "lr": 0.01},
]


def lines(ax):
    """Return what is drawn, by label."""
    return {line.get_label(): line.get_xydata().tolist() for line in ax.lines if not line.get_label().startswith("_")}


def test_curves_draw_every_loss_and_accuracy():
    loss, accuracy = plots.curves(ROWS)
    assert lines(loss) == {"training": [[1, 0.9], [2, 0.5], [3, 0.3]], "validation": [[1, 0.8], [2, 0.4], [3, 0.6]]}
    assert list(lines(accuracy)) == ["validation"]
    np.testing.assert_allclose(lines(accuracy)["validation"], [[1, 70], [2, 95], [3, 90]])
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("epoch", "loss", "accuracy (%)")


def test_the_best_of_the_validation_is_ringed_and_told():
    loss, accuracy = plots.curves(ROWS)
    assert loss.get_title(loc="left") == "best validation loss 0.4 (epoch 2)"
    assert accuracy.get_title(loc="left") == "best validation accuracy 95.00 % (epoch 2)"
    for ax, best in ((loss, [2, 0.4]), (accuracy, [2, 95])):
        (ring,) = [line for line in ax.lines if line.get_label() == "_best"]
        np.testing.assert_allclose(ring.get_xydata(), [best])


def test_columns_and_rows_and_text_are_the_same(tmp_path):
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    path = tmp_path / "history.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    expected = [lines(ax) for ax in plots.curves(ROWS)]
    assert [lines(ax) for ax in plots.curves(columns)] == expected
    assert [lines(ax) for ax in plots.curves(read)] == expected


def test_missing_entries_are_left_out():
    rows = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_loss": 3.0}, {"epoch": 3, "loss": ""}]
    (ax,) = plots.curves(rows)
    assert lines(ax) == {"training": [[1, 2], [2, 1]], "validation": [[2, 3]]}


def test_steps_count_where_there_are_no_epochs_and_rows_where_there_is_neither():
    (steps,) = plots.curves({"step": [10, 20], "loss": [2, 1]})
    assert (steps.get_xlabel(), lines(steps)["training"]) == ("step", [[10, 2], [20, 1]])
    (rows,) = plots.curves({"loss": [2, 1]})
    assert lines(rows)["training"] == [[1, 2], [2, 1]]


def test_a_wide_range_of_losses_gets_a_logarithmic_axis():
    assert plots.curves({"loss": [31.0, 1.0]})[0].get_yscale() == "log"
    assert plots.curves({"loss": [29.0, 1.0]})[0].get_yscale() == "linear"
    assert plots.curves({"loss": [31.0, -1.0]})[0].get_yscale() == "linear"


def test_given_axes_are_used():
    axes = Figure().subplots(1, 2)
    assert plots.curves(ROWS, ax=axes) == tuple(axes)


@pytest.mark.parametrize(
    "history, message",
    [
        ({"lr": [1]}, r"history needs a column with 'loss' or 'acc' in its name"),
        ([], "history needs a column with 'loss' or 'acc'"),
        ({"loss": []}, r"history needs equally long columns with at least one row, got lengths \{'loss': 0\}"),
        ({"loss": [1, 2], "val_loss": [1]}, r"got lengths \{'loss': 2, 'val_loss': 1\}"),
        ({"loss": ["one"]}, "history column 'loss' must hold numbers"),
        ({"accuracy": [97.0]}, "history column 'accuracy' must hold shares from 0 to 1, got 97"),
        ({"loss": [float("nan")]}, "history needs a finite number in each column"),
    ],
)
def test_refuses_histories_it_cannot_draw(history, message):
    with pytest.raises(ValueError, match=message):
        plots.curves(history)


def test_histories_compare_one_column():
    runs = {"slow": {"validation_accuracy": [0.5, 0.6]}, "fast": {"epoch": [1, 2], "validation_accuracy": [0.9, 0.8]}}
    ax = plots.histories(runs)
    assert {name: [y for _, y in xy] for name, xy in lines(ax).items()} == {"slow": [50, 60], "fast": [90, 80]}
    assert ax.get_title(loc="left") == "validation accuracy: best 90.00 % (fast)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slow", "fast"]


def test_histories_prefer_low_losses():
    runs = {"a": {"val_loss": [0.9, 0.3]}, "b": {"val_loss": [0.8, 0.5]}}
    assert plots.histories(runs, "val_loss").get_title(loc="left") == "val loss: best 0.3 (a)"


def test_histories_refuse_a_run_without_the_column():
    with pytest.raises(ValueError, match=r"runs\['b'\] has no column 'val_loss', it has \['loss'\]"):
        plots.histories({"a": {"val_loss": [1]}, "b": {"loss": [1]}}, "val_loss")
    with pytest.raises(ValueError, match="runs is empty"):
        plots.histories({})
