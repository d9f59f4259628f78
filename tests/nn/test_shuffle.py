import numpy as np
import pytest

from tinydl import nn


def test_channels_are_dealt_out():
    x = np.arange(12.0).reshape(2, 6, 1, 1)
    y = nn.ChannelShuffle(3)(x)
    for i in range(3):
        for j in range(2):
            assert y[1, j * 3 + i, 0, 0] == x[1, i * 2 + j, 0, 0]
    np.testing.assert_array_equal(nn.ChannelShuffle(2)(y), x)


def test_bad_groups_are_named():
    with pytest.raises(ValueError, match="groups"):
        nn.ChannelShuffle(0)
    with pytest.raises(ValueError, match="groups 4 must divide"):
        nn.ChannelShuffle(4)(np.zeros((1, 6, 1, 1)))
