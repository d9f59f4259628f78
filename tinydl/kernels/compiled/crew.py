"""Compiled kernels that hand a share of their work to other threads without coming back to Python.

A kernel that Python hands over costs each side some 10 µs under the GIL, one after the other. Here the kernel itself,
which runs without the GIL, writes its arguments to the mailbox of each helper, does its own share, and waits for
theirs; a helper waits at its mailbox (`serve`), also without the GIL. That takes some 3 µs.

    @njit
    def kernel(worker, boss, crew, …):
        give(boss, crew)
        … the share of `worker` …
        return wait(boss, crew)

In the boss's call, `give` lets helper number w call this very kernel with worker = w, boss = 0, and all other arguments
as they are. `threads.share` makes the boss's call; it sees to it that helpers are awake, and keeps the arguments alive
until the last one has ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from tinydl.kernels import threads
from tinydl.kernels.compiled.jit import njit, numba, splice
from tinydl.kernels.threads import ASIDE, AWAKE, DONE, GIVEN, GIVER, JOB, PYTHON, TIRED, WORDS
from tinydl.shapes import Array

__all__: list[str] = []

cgutils: Any = numba.core.cgutils
ir: Any = cgutils.ir
types: Any = numba.types

INT64, BYTES = ir.IntType(64), ir.IntType(8).as_pointer()
JOB_TYPE = ir.FunctionType(ir.VoidType(), [BYTES, INT64])

WORKER, ARGUMENTS = JOB + 1, AWAKE + 16
"""Where the number of the worker and the arguments of a compiled job stand in a mailbox; the rest is in threads.py."""

BEFORE = 4
"""What Numba's code for a kernel takes before crew: where the result goes, and an exception; worker; boss."""

ROUNDS, LAPS = 2_000, 100
"""A hundred laps of about 1 µs: so long the boss waits, before it lets Python see whether a helper sleeps.

Measured, two threads with 33 µs of work each: 40 µs a call while spinning, 75 µs when the helper sleeps. On a
machine whose other core is busy with something else: 280 against 240, because the spinning yields; without
yielding it would be 540.
"""

PATIENCE = 1000
"""The laps that a helper waits for its next job: longer than what Python and NumPy do between those of a network.

With a hundred, helpers slept through the sums between the blocks of EfficientNet-B0: 15.5 ms at batch 1, now 14.3.
"""

PAUSE = 6_000
"""About 4 µs: what the other thread still needs until it lets go of the GIL.

A thread that asks for the GIL earlier is put to sleep by Python, and to wake it is what costs 40 µs.
"""

if hasattr(os, "sched_yield"):
    _let_others_run = types.ExternalFunction("sched_yield", types.int32())
else:

    @njit
    def _let_others_run() -> int:
        return 0


if sys.platform == "linux":
    _processor = types.ExternalFunction("sched_getcpu", types.int32())
else:

    @njit
    def _processor() -> int:
        return -1


@njit
def current_cpu() -> int:
    """Return the number of the processor that this thread runs on."""
    return int(_processor())


def _word(builder: Any, address: Any, word: Any) -> Any:
    """Return the pointer to a word of the mailbox at an address."""
    return builder.gep(builder.inttoptr(address, INT64.as_pointer()), [word])


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def load(typingctx: Any, address: Any, word: Any) -> Any:
    """Return a word of the mailbox at `address`, as it is now; all that its writer wrote before is there as well."""

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return builder.load_atomic(_word(builder, *values), "acquire", 8)

    return types.int64(types.int64, types.int64), generate


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def store(typingctx: Any, address: Any, word: Any, value: Any) -> Any:
    """Write a word of the mailbox at `address`, after all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        builder.store_atomic(values[2], _word(builder, *values[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def _do(typingctx: Any, address: Any) -> Any:
    """Do the job in the mailbox at `address`."""

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        job = builder.inttoptr(builder.load(_word(builder, values[0], INT64(JOB))), JOB_TYPE.as_pointer())
        arguments = builder.bitcast(_word(builder, values[0], INT64(ARGUMENTS)), BYTES)
        builder.call(job, [arguments, builder.load(_word(builder, values[0], INT64(WORKER)))])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def _post(typingctx: Any, address: Any, worker: Any) -> Any:
    """Write the kernel that this stands in and its arguments, as a job for `worker`, to the mailbox at `address`."""

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        kernel = builder.function
        packed = ir.LiteralStructType([argument.type for argument in kernel.args[BEFORE:]])
        if context.get_abi_sizeof(packed) > 8 * (WORDS - ARGUMENTS):
            raise ValueError(f"the arguments of {kernel.name} do not fit into a mailbox")
        place = builder.bitcast(_word(builder, values[0], INT64(ARGUMENTS)), packed.as_pointer())
        for i, argument in enumerate(kernel.args[BEFORE:]):
            builder.store(argument, cgutils.gep_inbounds(builder, place, 0, i))
        builder.store(builder.ptrtoint(_job_of(kernel, packed), INT64), _word(builder, values[0], INT64(JOB)))
        builder.store(values[1], _word(builder, values[0], INT64(WORKER)))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _job_of(kernel: Any, packed: Any) -> Any:
    """Return the function job(arguments, worker) that calls `kernel` as that worker, with the arguments kept there."""
    name = f"{kernel.name}.job"
    if name in kernel.module.globals:
        return kernel.module.globals[name]
    job = ir.Function(kernel.module, JOB_TYPE, name)
    job.linkage = "internal"
    builder = ir.IRBuilder(job.append_basic_block("entry"))
    place = builder.bitcast(job.args[0], packed.as_pointer())
    kept = [builder.load(cgutils.gep_inbounds(builder, place, 0, i)) for i in range(len(packed.elements))]
    results = [builder.bitcast(builder.alloca(INT64), argument.type) for argument in kernel.args[:2]]
    builder.call(kernel, [*results, job.args[1], INT64(0), *kept], attrs=["noinline"])
    builder.ret_void()
    return job


@splice
def give(boss: int, crew: Array) -> None:
    """Let all of the crew do the kernel that calls this, if this is the boss's call; `crew` has their mailboxes."""
    if boss:
        for i in range(len(crew)):
            _post(crew[i], i + 1)
            store(crew[i], GIVER, _processor())
            store(crew[i], GIVEN, load(crew[i], GIVEN) + 1)


@njit
def _are_done(crew: Array) -> bool:
    """Return whether all of the crew have ended their jobs, after waiting for about 0.1 ms at most."""
    for i in range(len(crew)):
        given, lap = load(crew[i], GIVEN), 0
        while load(crew[i], DONE) < given:
            if lap == LAPS:
                return False
            for _ in range(ROUNDS):
                if load(crew[i], DONE) >= given:
                    break
            else:
                lap += 1
                _let_others_run()  # whoever has work for this core goes first
    return True


@splice
def wait(boss: int, crew: Array) -> bool:
    """Return whether the shares of all the crew have ended; other calls than the boss's do not wait."""
    return _are_done(crew) if boss else True


@njit
def _serve(mailbox: int, done: int, still: int) -> int:
    """Say that so many jobs are done, and do compiled ones until none comes for about 1 ms; return why it ended.

    For the first `still` jobs it is all one on which processor this runs.
    """
    store(mailbox, DONE, done)
    store(mailbox, AWAKE, 1)
    lap = 0
    while lap < PATIENCE:
        for _ in range(ROUNDS):
            if load(mailbox, GIVEN) > done:
                break
        else:
            lap += 1
            _let_others_run()
            continue
        if load(mailbox, JOB) == 0:
            for _ in range(PAUSE):
                load(mailbox, GIVEN)
            return PYTHON
        if still > 0:
            still -= 1
        elif load(mailbox, GIVER) == _processor() >= 0:
            return ASIDE
        _do(mailbox)
        done += 1
        store(mailbox, DONE, done)
        lap = 0
    store(mailbox, AWAKE, 0)
    return TIRED


class _Compiled:
    """How threads meet; see `threads.Meeting`."""

    serve = staticmethod(_serve)
    are_done = staticmethod(_are_done)
    current_cpu = staticmethod(current_cpu)


# Interpreted, it would hold the GIL against the thread it waits for.
if hasattr(_serve, "py_func"):
    threads.meeting = _Compiled()
