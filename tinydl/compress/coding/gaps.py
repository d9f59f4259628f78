"""Relative indices: the distance from each weight that is not zero to the next, in words of a few bits.

With a share p of n places taken, a bitmap costs n bits whatever p is, relative indices of w bits about p·n·w: they win
when fewer than one place in w is taken. The least that any code of independent places can cost is n·H(p) bits,
H(p) = −p·log₂ p − (1−p)·log₂(1−p).

Source: Han, Mao & Dally 2016, Deep compression, arXiv:1510.00149, section 2, figure 2.
"""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

WIDTHS = range(1, 13)
"""The widths of relative indices that can be written."""


def to_gaps(places: Array, width: int) -> Array:
    """Return how many free places lie before each of the rising `places`, in words of `width` bits.

    The largest word, 2^width − 1, stands for as many free places with none taken behind them; a longer gap begins with
    as many of it as it needs. (Han et al. let a weight of value 0 stand there; so it costs no value.)

    >>> to_gaps(np.array([1, 2, 15]), width=3)  # one free, none, 12 = 7 + 5
    array([1, 0, 7, 5])
    """
    filler = (1 << width) - 1
    free = np.diff(places, prepend=-1) - 1
    fillers = free // filler
    gaps = np.full(len(places) + int(fillers.sum()), filler, np.int64)
    gaps[np.arange(len(places)) + np.cumsum(fillers)] = free % filler
    return gaps


def from_gaps(gaps: Array, width: int) -> Array:
    """Return the places that `to_gaps` made `gaps` of.

    >>> from_gaps(np.array([1, 0, 7, 5]), width=3)
    array([ 1,  2, 15])
    """
    taken = gaps < (1 << width) - 1
    places: Array = (np.cumsum(gaps + taken) - 1)[taken]
    return places


def best_width(places: Array) -> int:
    """Return the width with which relative indices are shortest, before any entropy coding.

    >>> best_width(np.arange(0, 4096, 16)), best_width(np.arange(5))
    (5, 1)
    """
    free = np.diff(places, prepend=-1) - 1
    return min(WIDTHS, key=lambda width: width * (len(free) + int((free // ((1 << width) - 1)).sum())))
