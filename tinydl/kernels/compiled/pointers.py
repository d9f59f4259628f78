"""Calls of a kernel by its address.

Of a kernel that another one calls by name, Numba makes the caller's own copy, and LLVM compiles it once more. The tiles
of a matrix product take longer to compile than what surrounds them in winograd.py. Without these copies of them, and of
the transforms, one process compiles all that a first step of three convolutions needs in 6.8 s in the place of 7.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tinydl.kernels.compiled.jit import numba

__all__: list[str] = []

types: Any = numba.types

Address: TypeAlias = Any
"""A number; where kernels run interpreted, the kernel itself."""


def address_of(kernel: Callable[..., bool], *arguments: Any) -> Address:
    """Return the address of the machine code of `kernel` for arguments such as these, for `call`."""
    if numba.config.DISABLE_JIT:
        return kernel
    compiled: Any = kernel
    signature = tuple(numba.typeof(argument) for argument in arguments)
    compiled.compile(signature)
    found = compiled.overloads[signature]
    return found.library.get_pointer_to_function(found.fndesc.llvm_func_name)


if numba.config.DISABLE_JIT:

    def call(address: Address, *arguments: Any) -> Any:
        """Call the kernel."""
        return address(*arguments)

else:

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def call(typingctx: Any, address: Any, *arguments: Any) -> Any:
        """Call the kernel at `address`, in compiled code; the types of the arguments must be those it was made for."""
        kinds = [types.unliteral(kind) for kind in arguments]

        def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
            function = context.call_conv.get_function_type(types.boolean, kinds)
            pointer = builder.inttoptr(values[0], function.as_pointer())
            given = numba.core.cgutils.unpack_tuple(builder, values[1])
            given = [context.cast(builder, *some) for some in zip(given, signature.args[1], kinds, strict=True)]
            return context.call_conv.call_function(builder, pointer, types.boolean, kinds, given)[1]

        return types.boolean(types.int64, types.Tuple(tuple(kinds))), generate
