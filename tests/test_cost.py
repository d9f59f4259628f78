"""Costs against counts by hand."""

import pytest

from tinydl import nn, zoo
from tinydl.cost import summary


@pytest.mark.parametrize(
    ("model", "params", "macs"),
    [
        (zoo.mlp, 235_146, 784 * 256 + 256 * 128 + 128 * 10),
        (zoo.cnn3, 93_322, 32 * 9 * 26**2 + 64 * 32 * 9 * 11**2 + 64 * 64 * 9 * 3**2 + 576 * 64 + 640),
        (zoo.cnn1, 693_962, 32 * 9 * 26**2 + 32 * 13 * 13 * 128 + 1280),
        (zoo.lenetish, 21_840, 10 * 25 * 24**2 + 20 * 10 * 25 * 8**2 + 320 * 50 + 500),
        (
            zoo.mobile,
            36_874,
            16 * 9 * 14**2
            + (16 * 9 + 16 * 32) * 14**2
            + (32 * 9 + 32 * 64) * 7**2
            + (64 * 9 + 64 * 64) * 7**2
            + (64 * 9 + 64 * 128) * 4**2
            + (128 * 9 + 128 * 128) * 4**2
            + 1280,
        ),
    ],
)
def test_small_networks(model, params, macs):
    found = summary(model(), (1, 28, 28))
    assert found.params == params
    assert found.macs == macs
    assert sum(row.params for row in found.rows) == params


def test_rows_and_table():
    found = summary(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), (2, 4, 4))
    assert [row.kind for row in found.rows] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    assert [row.shape for row in found.rows] == [(4, 4, 4), (4, 4, 4), (64,), (3,)]
    assert [row.macs for row in found.rows] == [4 * 2 * 9 * 16, 0, 0, 192]
    text = str(found)
    assert "1,152" in text
    assert text.splitlines()[-1].split() == ["total", "271", "1,344"]


def test_transposed_convolution_groups_and_modes():
    model = nn.Sequential(nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Dropout())
    assert summary(model, (4, 3, 3)).macs == 9 * 4 * 2 * 4
    assert model.training
    assert not model[0]._hooks.after
    assert summary(nn.Conv2d(4, 8, 3, groups=2), (4, 5, 5)).macs == 8 * 2 * 9 * 9
    with pytest.raises(ValueError):
        summary(model, (3, 3, 3))
    assert not model[0]._hooks.after
