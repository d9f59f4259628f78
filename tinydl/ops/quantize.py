"""Quantization as a network in training sees it: values rounded to the integers' grid, but still floating."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.op import op
from tinydl.ops.movement import sum_to
from tinydl.ops.selection import where
from tinydl.shapes import Array, Shape


@op("..., ...", keeps=["inside"])
def fake_quantize(x: Any, scale: Any, zero_point: Any = 0, low: int = -128, high: int = 127) -> tuple[Any, Array]:
    """Return x as its integers would give it back: quantized, clamped, dequantized.

    y = scale · (clamp(round(x / scale) + zero_point, low, high) − zero_point), ties rounded to even

    `scale` (positive) and `zero_point` (integers) broadcast to x: one number, or a shape such as (O, 1, 1, 1).

    The true slope of these stairs is 0 almost everywhere. The gradients here are straight-through estimates: those of
    scale · clamp(x / scale + ε) with the errors of rounding ε = round(x / scale) − x / scale held fixed. So ∂y/∂x is 1
    where nothing was clamped, else 0; ∂y/∂scale is ε where nothing was clamped, else the bound − zero_point.
    NaN stays NaN.

    Raises: ValueError when low is not below high.

    Source: Jacob et al. 2018, arXiv:1712.05877, equation 12; Bengio, Léonard & Courville 2013, Estimating or
    propagating gradients through stochastic neurons, arXiv:1308.3432; for the scale Esser et al. 2020, Learned step
    size quantization, arXiv:1902.08153, equation 3.

    >>> fake_quantize(np.array([-9.0, 0.2, 0.3, 9.0]), 0.25, low=-8, high=7)
    array([-2.  ,  0.25,  0.25,  1.75])
    """
    if not low < high:
        raise ValueError(f"fake_quantize: low must be below high, got {low} and {high}")
    steps = np.rint(x / scale)
    shift = np.asarray(zero_point, steps.dtype)
    clamped = np.clip(steps, low - shift, high - shift)
    return clamped * scale, clamped == steps


@fake_quantize.vjp("x")
def fake_quantize_vjp_x(g: Any, inside: Array, x_shape: Shape) -> Any:
    """∂y/∂x = 1 where nothing was clamped."""
    return sum_to(where(inside, g, 0.0), x_shape)


@fake_quantize.vjp("scale")
def fake_quantize_vjp_scale(g: Any, x: Any, scale: Any, y: Any, inside: Array, scale_shape: Shape) -> Any:
    """∂y/∂scale = y/scale, which is what was rounded and clamped, less x/scale where nothing was clamped."""
    return sum_to(g * ((y - where(inside, x, 0.0)) / scale), scale_shape)
