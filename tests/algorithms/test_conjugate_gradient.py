import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.algorithms.conjugate_gradient import conjugate_gradient


def system(seed: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    target = torch.randn(size, generator=generator, dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(size, dtype=torch.float64), target


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12))
@settings(max_examples=40)
def test_it_solves_what_elimination_solves(seed, size):
    matrix, target = system(seed, size)
    found = conjugate_gradient(lambda v: matrix @ v, target, 5 * size, 1e-14)
    assert torch.allclose(found, torch.linalg.solve(matrix, target), rtol=1e-6, atol=1e-8)


def test_k_iterations_are_the_best_of_their_krylov_space():
    """Hestenes and Stiefel 1952, theorem 6:1: no other point of span(b, Ab, ...) is nearer in the norm of A."""
    matrix, target = system(3, 9)
    truth = torch.linalg.solve(matrix, target)
    for k in (1, 2, 4):
        found = conjugate_gradient(lambda v: matrix @ v, target, k)
        space = torch.stack([torch.linalg.matrix_power(matrix, i) @ target for i in range(k)], 1)
        best = space @ torch.linalg.solve(space.T @ matrix @ space, space.T @ target)
        assert torch.allclose(found, best, rtol=1e-6, atol=1e-9)
        assert not torch.allclose(found, truth, rtol=1e-3)


def test_it_stops_when_there_is_nothing_to_do():
    asked = []

    def product(vector):
        asked.append(vector)
        return 2.0 * vector

    assert (conjugate_gradient(product, torch.zeros(3), 10) == 0).all()
    assert not asked
    assert torch.allclose(conjugate_gradient(product, torch.ones(3), 10), torch.full((3,), 0.5))
    assert len(asked) == 1


def test_a_matrix_that_is_not_positive_stops_it_where_it_is():
    found = conjugate_gradient(lambda v: -v, torch.ones(3), 10)
    assert (found == 0).all()
