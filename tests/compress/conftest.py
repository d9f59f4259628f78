import pytest

from tinydl import kernels


@pytest.fixture(params=["reference", "compiled"])
def backend(request):
    if request.param == "compiled":
        pytest.importorskip("numba")
    with kernels.use(request.param):
        yield request.param
