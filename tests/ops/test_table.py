"""Registry, exports and table agree, so that nothing is untested."""

from op_table import CASES, NAMES

from tinydl import ops
from tinydl.methods import FUNCTIONS
from tinydl.op import OPS


def test_every_function_has_a_row_and_every_row_a_function():
    assert {case.op for case in CASES} == NAMES


def test_every_function_is_exported():
    assert set(ops.__all__) == set(FUNCTIONS) - {"backward"}
    for name in ops.__all__:
        assert getattr(ops, name) is FUNCTIONS[name]


def test_the_exports_are_sorted_and_single():
    assert list(ops.__all__) == sorted(set(ops.__all__))


def test_case_names_are_single():
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_every_op_is_differentiated_twice_by_some_row():
    twice = {case.op for case in CASES if case.order == 2}
    assert {op.name for op in OPS.values()} <= twice
