"""Which dtypes there are, and where two of them meet."""

import itertools

import numpy as np
import pytest

from tinydl.dtypes import NATIVE, check_dtype, common_dtype, native

DTYPES = sorted(NATIVE, key=str)


@pytest.mark.parametrize("given", ["float32", np.float32, np.dtype("f4"), ">f4", float, int, bool, "uint8"], ids=str)
def test_dtypes_of_the_engine(given):
    assert check_dtype(given) in NATIVE
    assert check_dtype(given) == np.dtype(given).newbyteorder("=")


@pytest.mark.parametrize("given", ["float16", "complex64", object, str, "M8[s]", None, "no such", 3, np.longdouble])
def test_dtypes_that_are_refused(given):
    with pytest.raises(TypeError, match="is not supported; use float32, float64, an integer type or bool"):
        check_dtype(given)


def test_native_byte_order():
    array = np.arange(3.0)
    assert native(array, "x") is array
    swapped = native(array.astype(">f8"), "x")
    assert swapped.dtype == np.float64
    assert swapped.tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="x has dtype complex128; float32, float64, integers and bool are supported"):
        native(np.ones(2, complex), "x")


def kind(dtype):
    return "bool" if dtype.kind == "b" else "float" if dtype.kind == "f" else "int"


@pytest.mark.parametrize("a, b", list(itertools.product(DTYPES, DTYPES)), ids=str)
def test_two_arrays_meet_symmetrically_in_the_wider_kind(a, b):
    met = common_dtype([np.ones(2, a), np.ones(2, b)])
    assert met == common_dtype([np.ones(2, b), np.ones(2, a)])
    assert kind(met) == max(kind(a), kind(b), key=["bool", "int", "float"].index)
    if kind(a) != kind(b):
        assert met == (a if kind(met) == kind(a) else b)
    elif "uint64" not in (str(a), str(b)):
        assert met == np.result_type(a, b)


def test_arrays_with_axes_before_0d_arrays_before_numbers():
    single, double, whole = np.ones(2, "f4"), np.ones((), "f8"), np.ones(2, "i4")
    assert common_dtype([single, double]) == np.float32
    assert common_dtype([double, single, 2.0]) == np.float32
    assert common_dtype([whole, np.ones((), "i8")]) == np.int32
    assert common_dtype([whole, double]) == np.float64
    assert common_dtype([whole, 1]) == np.int32
    assert common_dtype([whole, 1.0]) == np.float32
    assert common_dtype([np.ones(2, bool), 1]) == np.int64
    assert common_dtype([np.ones(2, bool), True]) == np.dtype(bool)
    assert common_dtype([1.0, 2, None]) is None
