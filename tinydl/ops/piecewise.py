"""Activations made of straight lines (and hard-swish's parabola), each with kernels for its value and its gradient.

The kernel of a gradient is an array shortcut: where a derivative of it is asked for, its composition of ops takes over,
with constant masks, so that every order of derivative exists.
"""

from __future__ import annotations

from typing import Any

from tinydl import kernels
from tinydl.op import fused, op
from tinydl.ops.comparison import ge, gt
from tinydl.ops.selection import where


@op("...", kernel=True)
def relu(x: Any) -> Any:
    """Return max(x, 0), with relu′(0) = 0; NaN stays NaN.

    Source: Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines.

    >>> import numpy as np
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return kernels.relu(x)


@fused
def relu_grad(g: Any, y: Any) -> Any:
    """Return g where y > 0, else 0."""
    return kernels.relu_grad(g, y)


@relu_grad.composition
def relu_grad_composed(g: Any, y: Any) -> Any:
    """A constant mask times g."""
    return where(gt(y, 0), g, 0.0)


@relu.vjp()
def relu_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = 1 where y > 0."""
    return relu_grad(g, y)


@op("...", kernel=True)
def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6), with slope 0 at both kinks.

    Source: Howard et al. 2017, MobileNets, arXiv:1704.04861; Krizhevsky 2010, Convolutional deep belief networks.

    >>> import numpy as np
    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return kernels.relu6(x)


@fused
def relu6_grad(g: Any, y: Any) -> Any:
    """Return g where 0 < y < 6, else 0."""
    return kernels.relu6_grad(g, y)


@relu6_grad.composition
def relu6_grad_composed(g: Any, y: Any) -> Any:
    """A constant mask times g."""
    return where(gt(y, 0), where(gt(6, y), g, 0.0), 0.0)


@relu6.vjp()
def relu6_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = 1 where 0 < y < 6."""
    return relu6_grad(g, y)


@op("...", kernel=True)
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Return x where x > 0, else negative_slope · x (a small positive slope for negative inputs, and at 0).

    Source: Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models.

    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return kernels.leaky_relu(x, float(negative_slope))


@fused
def leaky_relu_grad(g: Any, x: Any, negative_slope: float) -> Any:
    """Return g where x > 0, else negative_slope · g."""
    return kernels.leaky_relu_grad(g, x, float(negative_slope))


@leaky_relu_grad.composition
def leaky_relu_grad_composed(g: Any, x: Any, negative_slope: float) -> Any:
    """A constant mask decides the factor of g."""
    return where(gt(x, 0), g, g * negative_slope)


@leaky_relu.vjp()
def leaky_relu_vjp(g: Any, x: Any, negative_slope: float) -> Any:
    """∂y/∂x = 1 or negative_slope."""
    return leaky_relu_grad(g, x, negative_slope)


@op("...", kernel=True)
def hardsigmoid(x: Any) -> Any:
    """Return relu6(x + 3) / 6, with slope 0 at ±3.

    Source: Howard et al. 2019, MobileNetV3, arXiv:1905.02244, section 5.2.

    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return kernels.hard_sigmoid(x)


@fused
def hardsigmoid_grad(g: Any, x: Any) -> Any:
    """Return g / 6 where −3 < x < 3, else 0."""
    return kernels.hard_sigmoid_grad(g, x)


@hardsigmoid_grad.composition
def hardsigmoid_grad_composed(g: Any, x: Any) -> Any:
    """A constant mask times g / 6."""
    return where(gt(x, -3), where(gt(3, x), g * (1 / 6), 0.0), 0.0)


@hardsigmoid.vjp()
def hardsigmoid_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = 1/6 where −3 < x < 3."""
    return hardsigmoid_grad(g, x)


@op("...", kernel=True)
def hardswish(x: Any) -> Any:
    """Return x · relu6(x + 3) / 6.

    Source: Howard et al. 2019, MobileNetV3, arXiv:1905.02244, section 5.2.

    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 0.0, 4.0])) + 0.0
    array([0., 0., 4.])
    """
    return kernels.hard_swish(x)


@fused
def hardswish_grad(g: Any, x: Any) -> Any:
    """Return g · (0 where x ≤ −3, 1 where x ≥ 3, else x/3 + ½)."""
    return kernels.hard_swish_grad(g, x)


@hardswish_grad.composition
def hardswish_grad_composed(g: Any, x: Any) -> Any:
    """The same, with constant masks."""
    return where(ge(x, 3), g, where(gt(x, -3), g * (x * (1 / 3) + 0.5), 0.0))


@hardswish.vjp()
def hardswish_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x, piecewise linear."""
    return hardswish_grad(g, x)
