"""Numba's `njit` with one set of options for every kernel, and a disk cache that can never stop the program.

Numba's own cache has three faults that matter here: it raises when a file is damaged, it ignores the options
a function was compiled with (numba issue 6845), and it misses an edited helper in another file (issue 9483).
So each cached file ends with its own SHA-256, what cannot be read is deleted and compiled again, and the
folder is named after everything that decides the machine code (folder.py; Numba adds the processor to each
entry's key). Numba's global settings stay as the user left them.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import importlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from tinydl.kernels.compiled import ahead
from tinydl.kernels.compiled.folder import cache_folder

F = TypeVar("F", bound=Callable[..., Any])


def _import_numba() -> Any:
    """Import Numba even under a NUMBA_NUM_THREADS that it refuses.

    Such a value is not put back: Numba reads the environment again before each compilation.
    """
    value = os.environ.get("NUMBA_NUM_THREADS", "1")
    if not value.isdecimal() or int(value) < 1:
        del os.environ["NUMBA_NUM_THREADS"]
    return importlib.import_module("numba")


ahead.begin(cache_folder())  # it needs as long as this process to import Numba, which is some 0.3 s
numba = _import_numba()
caching: Any = numba.core.caching
codegen: Any = numba.core.codegen
compiler: Any = numba.core.compiler


def njit(function: F) -> F:
    """Compile `function` when it is first called, to machine code that runs without the GIL.

    Division by zero gives Inf or NaN as in NumPy. Sums may be reordered and products fused, which vectorises
    them, but NaN and Inf keep their meaning: full `fastmath` would make `isnan` false. With NUMBA_DISABLE_JIT=1
    kernels run interpreted, for debuggers and coverage.

    >>> @njit
    ... def double(x):
    ...     return x + x
    >>> double(2.0)
    4.0
    """
    kernel = _compile(function, nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"})
    folder = cache_folder()
    if folder is not None and hasattr(kernel, "_cache"):
        with contextlib.suppress(Exception):  # what stops the cache (no source file, a full disk) stops no kernel
            kernel._cache = _cache_in(folder, function)
    return cast(F, kernel)


def inline(function: F) -> F:
    """Compile a formula that becomes part of each kernel that calls it, so that its loop can be vectorised.

    Its sums keep the order in which they are written: 1 + x − 1 is not x.
    """
    return cast(F, _compile(function, forceinline=True, fastmath={"contract", "arcp", "nsz"}))


def splice(function: F) -> F:
    """Make a function's text part of each kernel that calls it: it is not compiled by itself as well.

    For loops that are long to compile and do no arithmetic of their own; the caller's rules for sums hold in them.
    """
    return cast(F, _compile(function, inline="always"))


def exact(function: F) -> F:
    """Compile a formula like `inline`, but with every floating-point operation done just as it is written.

    Where results must agree bit for bit with NumPy's, not even a division may become a product with the reciprocal.
    (Unless told otherwise, Numba takes the rules of the kernel that calls.)
    """
    return cast(F, _compile(function, forceinline=True, fastmath=False))


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    if numba.config.DISABLE_JIT:
        return np.errstate(all="ignore")(function)
    # nobody calls kernels from C; without the wrapper for it the first step of a network compiles 8 % faster
    options["no_cfunc_wrapper"] = True
    # kernels make no arrays, and callers keep those of theirs: without counting references to them it is 14 %
    options["_nrt"] = False
    kernel = numba.njit(error_model="numpy", pipeline_class=_Compiler, **options)(function)
    with contextlib.suppress(AttributeError):  # a Numba whose compiler is somewhere else: it only takes longer
        kernel._compiler.compile = _undisturbed(kernel._compiler.compile)
    return kernel


class _Compiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's compiler, of which LLVM gets whole modules only."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = _Library(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Machine code that is optimised as a whole; to do each function by itself before that took 6 % of the time."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout


def _undisturbed(compile: F) -> F:
    """Let no search for garbage interrupt a compilation, which keeps nearly all it makes: 11 % of its time."""

    @functools.wraps(compile)
    def run(*args: Any, **options: Any) -> Any:
        searched = gc.isenabled()
        gc.disable()
        try:
            return compile(*args, **options)
        finally:
            if searched:
                gc.enable()

    return cast(F, run)


def _cache_in(folder: Path, function: Callable[..., Any]) -> Any:
    """Return a cache in `folder`; Numba reads the place from a global setting, which is lent and put back."""
    config = numba.core.config
    users = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        return _Cache(function)
    finally:
        config.CACHE_DIR = users


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, where every failure means only "compile it"."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _SealedFiles

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = self._found(sig, target_context)
        if found is None:
            mark = self._mark(sig)
            if ahead.wait_for(ahead.begin(cache_folder()), mark):
                found = self._found(sig, target_context)
            if found is None:
                with contextlib.suppress(OSError):
                    mark.write_text(str(os.getpid()))
        return found

    def _found(self, sig: Any, target_context: Any) -> Any:
        try:
            return self._load_overload(sig, target_context)
        except Exception:  # whatever a damaged file makes the loader raise
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
            self._mark(sig).unlink(missing_ok=True)
        except Exception:
            self._forget()

    def _mark(self, sig: Any) -> Path:
        """Return the file that is there while somebody compiles the function for such arguments: see ahead.py."""
        return Path(self._cache_path) / f"{self._impl.filename_base}.{zlib.crc32(str(sig).encode())}"

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """Return what tells this function's versions apart: Numba's own key is never found again by closures."""
        return sig, codegen.magic_tuple()

    def _forget(self) -> None:
        """Delete this function's files; the other functions keep theirs."""
        for file in Path(self._cache_path).glob(f"{self._impl.filename_base}.*"):
            with contextlib.suppress(OSError):
                file.unlink()


class _SealedFiles(caching.IndexDataCacheFile):  # type: ignore[misc]
    """Files that end with the SHA-256 of what precedes it: damaged machine code must not run."""

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            yield file
            file.flush()
            file.write(hashlib.sha256(Path(file.name).read_bytes()).digest())

    def _load_index(self) -> Any:
        _check_seal(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check_seal(self._data_path(name))
        return super()._load_data(name)


def _check_seal(path: str) -> None:
    file = Path(path)
    if file.exists():
        content = file.read_bytes()
        if hashlib.sha256(content[:-32]).digest() != content[-32:]:
            raise ValueError(f"{path} is damaged")
