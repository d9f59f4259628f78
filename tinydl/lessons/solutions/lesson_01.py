"""Lesson 1, answered: a slope measured from both sides, its best step, and the slopes of all knobs."""


def slope(f, x, h):
    """Measure the slope of f at x between the two points h to the left and to the right."""
    return (f(x + h) - f(x - h)) / (2 * h)


def best_step(f, x, exact, steps):
    """Return the h among the steps at which the measured slope comes closest to the exact one."""
    return min(steps, key=lambda h: abs(slope(f, x, h) - exact))


def gradient(f, point, h):
    """Return the list of slopes of f at a point (a list of numbers), one knob at a time."""
    slopes = []
    for i in range(len(point)):
        right, left = list(point), list(point)
        right[i] += h
        left[i] -= h
        slopes.append((f(right) - f(left)) / (2 * h))
    return slopes
