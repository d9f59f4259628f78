import numpy as np
import pytest

from tinydl.compress.factorize import SVD


def matrix(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6)])
def test_full_rank_gives_the_matrix(shape):
    m = matrix(*shape)
    left, right = SVD(m).factors(min(shape))
    assert np.allclose(left @ right, m, atol=1e-13)


def test_what_is_missed_is_the_energy_of_the_rest():
    m = matrix(7, 5)
    svd = SVD(m)
    for rank in range(1, 6):
        left, right = svd.factors(rank)
        assert (left.shape, right.shape) == ((7, rank), (rank, 5))
        missed = np.sum((m - left @ right) ** 2)
        assert missed == pytest.approx(np.sum(svd.sigma[rank:] ** 2), abs=1e-12)
        assert 1 - missed / np.sum(m**2) == pytest.approx(svd.energy(rank))


def test_the_rank_is_the_smallest_that_keeps_the_energy():
    svd = SVD(matrix(7, 5))
    for energy in (0.1, 0.5, 0.9, 0.99):
        rank = svd.rank_for(energy)
        assert svd.energy(rank) >= energy
        assert rank == 1 or svd.energy(rank - 1) < energy
    assert svd.rank_for(1.0) == svd.full == 5


def test_both_factors_have_the_same_scale():
    left, right = SVD(matrix(7, 5)).factors(3)
    assert np.allclose(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=1))


def test_zeros_keep_everything():
    svd = SVD(np.zeros((3, 2)))
    assert (svd.energy(1), svd.rank_for(0.9)) == (1.0, 1)


@pytest.mark.parametrize("rank", [0, 6, -1])
def test_a_rank_out_of_range_is_refused(rank):
    with pytest.raises(ValueError, match="rank must be at"):
        SVD(matrix(7, 5)).factors(rank)


@pytest.mark.parametrize("energy", [0.0, 1.1, float("nan")])
def test_an_energy_out_of_range_is_refused(energy):
    with pytest.raises(ValueError, match="energy must be in"):
        SVD(matrix(7, 5)).rank_for(energy)
