from pathlib import Path

import pytest

from tinydl import kernels

HEAVY = {
    *("efficientnet_b0", "xception", "resnet18", "mobilenet_v1", "mobilenet_v3_large"),
    *("shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1"),
}
"""Networks that take long on reference kernels. What is made of a network's structure does not depend on the kernels:
there, the others stand for these."""


def pytest_collection_modifyitems(items):
    if kernels.active() == "compiled":
        return
    skip = pytest.mark.skip(reason="on reference kernels smaller networks stand for this one")
    for item in items:
        inside = Path(__file__).parent in item.path.parents and hasattr(item, "callspec")
        named = {value for value in item.callspec.params.values() if isinstance(value, str)} if inside else set()
        if named & HEAVY:
            item.add_marker(skip)


@pytest.fixture(params=["reference", "compiled"])
def backend(request):
    if request.param == "compiled":
        pytest.importorskip("numba")
    with kernels.use(request.param):
        yield request.param
