import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def nothing_left_open():
    """No picture may leave a figure with pyplot, where somebody would have to close it."""
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    yield
    assert pyplot.get_fignums() == before
