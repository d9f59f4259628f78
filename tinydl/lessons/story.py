"""The digit that goes from lesson to lesson."""

SEVEN = (
    (0, 0, 0, 0, 0, 0, 0),
    (0, 1, 1, 0, 0, 0, 0),
    (0, 1, 4, 4, 6, 3, 0),
    (0, 0, 0, 0, 5, 0, 0),
    (0, 0, 0, 2, 3, 0, 0),
    (0, 0, 0, 5, 0, 0, 0),
    (0, 0, 2, 3, 0, 0, 0),
)
"""The first test image of MNIST, a seven, in 7 × 7 cells: the mean ink of 4 × 4 pixels, from 0 (paper) to 9 (ink)."""
