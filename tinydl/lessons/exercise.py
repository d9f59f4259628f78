"""An exercise, and the words in which a check says what is wrong with an answer."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeAlias

import numpy as np

from tinydl.lessons.search import Pick, samples, smallest_failure

Arguments: TypeAlias = dict[str, Any]
"""One case: what an answer is called with, in this order, under the names that a learner is shown."""

_PACKAGE = str(Path(__file__).parents[1])
_PROBES = 12


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson.

    Attributes:
        id: lesson and number, "01.1".
        title: what is asked for, as it goes on after "right: ".
        solution: the name of the answer in `tinydl/lessons/solutions/lesson_NN.py`, and of the stub in the notebook.
        hints: from a nudge to nearly everything.
        examine: takes the learner's object; returns when it is right, raises `Wrong` or `NotAttempted` when not.
    """

    id: str
    title: str
    solution: str
    hints: tuple[str, ...]
    examine: Callable[[Any], None]


def exercise(id: str, title: str, solution: str, hints: Sequence[str]) -> Callable[[Callable[[Any], None]], Exercise]:
    """Make the function below an exercise: it becomes the way answers are examined. Arguments as in `Exercise`."""
    return lambda examine: Exercise(id, title, solution, tuple(hints), examine)


class NotAttempted(Exception):  # noqa: N818
    """The answer is still the stub."""


class Wrong(Exception):  # noqa: N818
    """The answer is wrong.

    Args:
        text: one sentence.
        likely: the mistake that would explain it, if one does.
        **details: what else helps, by label: `yours=3, wanted=4`.
    """

    def __init__(self, text: str, likely: str = "", **details: Any) -> None:
        super().__init__(text)
        self.details = {label.replace("_", " "): shown(value) for label, value in details.items()}
        if likely:
            self.details["likely"] = likely


def shown(value: Any) -> str:
    """Return a value as a learner reads it: text as it is, numbers in full, functions by their name.

    >>> shown("as it is"), shown(0.1), shown(np.float64(2)), shown(shown)
    ('as it is', '0.1', '2.0', 'shown')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    return str(getattr(value, "__name__", None) or repr(value))


def need_function(answer: Any) -> None:
    """Raise `Wrong` for anything that cannot be called."""
    if not callable(answer):
        raise Wrong("a function is needed here", yours=answer)


def ask(answer: Any, *arguments: Any) -> Any:
    """Return `answer(*arguments)`; whatever else can happen is said in the words of a check.

    Raises: NotAttempted when it returns `...` or raises NotImplementedError; Wrong when it fails.
    """
    try:
        result = answer(*arguments)
    except NotImplementedError:
        raise NotAttempted from None
    except (Exception, SystemExit) as error:
        raise Wrong("it stops with an error", **described(error)) from None
    if unanswered(result):
        raise NotAttempted
    return result


def unanswered(value: Any) -> bool:
    """Tell whether a value is the `...` of a stub, or a tuple or list with one in it."""
    return value is ... or (isinstance(value, (tuple, list)) and any(part is ... for part in value))


def described(error: BaseException) -> dict[str, str]:
    """Return what was raised, and by which line outside of this package."""
    said = {"error": f"{type(error).__name__}: {error}".rstrip(": ")}
    theirs = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE)]
    if theirs:
        line = theirs[-1].line or linecache.getline(theirs[-1].filename, theirs[-1].lineno or 0).strip()
        said["in the line"] = line or f"{theirs[-1].lineno} of {theirs[-1].name}"
    return said


def forall(case: Callable[[Pick], Arguments], examine: Callable[..., None], tries: int = 200) -> None:
    """Examine about `tries` cases, and raise the trouble of the smallest that fails, with the case in its details.

    Args:
        case: makes the arguments of one case, by name.
        examine: called with them; raises `Wrong` or `NotAttempted`.
        tries: how many cases.
    """
    troubles: list[Wrong | NotAttempted] = []

    def fails(arguments: Arguments) -> bool:
        try:
            examine(**arguments)
        except (Wrong, NotAttempted) as trouble:
            if isinstance(trouble, Wrong):
                text = ", ".join(f"{name} = {shown(value)}" for name, value in arguments.items())
                trouble.details = {"smallest failing input": text} | trouble.details
            troubles.append(trouble)
            return True
        return False

    smallest = smallest_failure(case, fails, tries)
    if smallest is not None:
        fails(smallest)
        raise troubles[-1]


def compare(
    answer: Any,
    wanted: Callable[..., Any],
    case: Callable[[Pick], Arguments],
    mistakes: Mapping[str, Callable[..., Any]] | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    tries: int = 200,
) -> None:
    """Hold a function against the one that is wanted, on every case.

    Args:
        answer: the learner's function.
        wanted: a function of the same arguments that is right.
        case: makes the arguments of one case, by name; the answer gets copies of them, in their order.
        mistakes: what goes wrong usually: a sentence for the learner -> a function that makes this mistake. The one
            that agrees with the answer everywhere is named.
        rtol: tolerance relative to what is wanted.
        atol: absolute tolerance.
        tries: how many cases.

    Raises: Wrong with the smallest failing input, NotAttempted.
    """
    need_function(answer)

    @cache  # it is the same for every case that fails
    def likely() -> str:
        return likely_mistake(answer, case, mistakes or {}, rtol, atol)

    def examine(**arguments: Any) -> None:
        result = ask(answer, *deepcopy(list(arguments.values())))
        right = wanted(*deepcopy(list(arguments.values())))
        if trouble := difference(result, right, rtol, atol):
            raise Wrong(trouble, likely(), yours=result, wanted=right)

    forall(case, examine, tries)


def difference(result: Any, right: Any, rtol: float = 1e-9, atol: float = 1e-12) -> str:
    """Return in which way `result` is not `right` within tolerance; nothing when it is.

    >>> difference(1.0, 1.0), difference(None, 1.0), difference([1.0], [1.0, 2.0])
    ('', 'it returns None: is the `return` missing?', 'the shape is (1,) where (2,) is wanted')
    """
    if result is None:
        return "it returns None: is the `return` missing?"
    try:
        got, want = np.asarray(result, np.float64), np.asarray(right, np.float64)
    except (TypeError, ValueError):
        return f"it returns {type(result).__name__} where {type(right).__name__} is wanted"
    if got.shape != want.shape:
        return f"the shape is {got.shape} where {want.shape} is wanted"
    if np.allclose(got, want, rtol, atol, equal_nan=True):
        return ""
    if np.allclose(got, -want, rtol, atol):
        return "the sign is turned round"
    return "the result is nan" if np.isnan(got).any() and not np.isnan(want).any() else "the result is another"


def likely_mistake(
    answer: Any,
    case: Callable[[Pick], Arguments],
    mistakes: Mapping[str, Callable[..., Any]],
    rtol: float = 1e-9,
    atol: float = 1e-12,
) -> str:
    """Return the sentence of the first mistake that does what the answer does on each of some cases, or nothing."""

    def outcome(function: Callable[..., Any], arguments: Arguments) -> Any:
        try:
            return ask(function, *deepcopy(list(arguments.values())))
        except (Wrong, NotAttempted) as trouble:
            return str(trouble)

    def same(one: Any, other: Any) -> bool:
        if isinstance(one, str) or isinstance(other, str):
            return type(one) is type(other) and bool(one == other)
        return not difference(one, other, rtol, atol)

    given = [(one, outcome(answer, one)) for one in samples(case, _PROBES)]
    for sentence, mistake in mistakes.items():
        if all(same(outcome(mistake, arguments), yours) for arguments, yours in given):
            return sentence
    return ""
