"""What the networks save has torchvision's names, shapes and order."""

import pytest
import torchvision_names

from tinydl import zoo


@pytest.mark.parametrize("name", torchvision_names.STATES)
def test_names_and_shapes(name):
    saved = {key: tuple(value.shape) for key, value in zoo.build(name).state_dict().items()}
    assert list(saved.items()) == list(torchvision_names.STATES[name].items())
