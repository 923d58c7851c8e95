"""Latent vectors, the input of generators: noise, one-hot categorical codes and continuous codes, concatenated."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Latent:
    """Layout and distribution of latent vectors.

    Attributes
    ----------
    noise : int
        Number of noise values.
    categories : tuple[int, ...]
        Number of values of each categorical code.
    continuous : int
        Number of continuous codes; they are drawn from U(-1, 1).
    kind : {"normal", "uniform"}
        Distribution of the noise: N(0, 1) or U(-1, 1).
    """

    noise: int
    categories: tuple[int, ...] = ()
    continuous: int = 0
    kind: Literal["normal", "uniform"] = "normal"

    @property
    def length(self) -> int:
        """Length of a latent vector."""
        return self.noise + sum(self.categories) + self.continuous

    def draw(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return n random latent vectors (n, length); all categories are equally probable."""
        if self.kind == "normal":
            parts = [torch.randn(n, self.noise, generator=generator, device=device)]
        else:
            parts = [_draw_uniform(n, self.noise, generator, device)]
        for num_values in self.categories:
            values = torch.randint(num_values, (n,), generator=generator, device=device)
            parts.append(F.one_hot(values, num_values).to(parts[0].dtype))
        if self.continuous:
            parts.append(_draw_uniform(n, self.continuous, generator, device))
        return torch.cat(parts, 1).to(dtype)

    def codes(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the codes of latent vectors (n, length).

        Parameters
        ----------
        z : Tensor
            Latent vectors (n, length).

        Returns
        -------
        categories : list[Tensor]
            Value (n,) of each categorical code, int64.
        continuous : Tensor
            Values (n, continuous) of the continuous codes.
        """
        _, *one_hot, continuous = z.split((self.noise, *self.categories, self.continuous), dim=1)
        return [part.argmax(1) for part in one_hot], continuous

    def with_category(self, z: Tensor, code: int, values: Tensor | int) -> Tensor:
        """Return a copy of latent vectors in which one categorical code is set.

        Parameters
        ----------
        z : Tensor
            Latent vectors (n, length).
        code : int
            Index of the categorical code.
        values : Tensor | int
            Values of the code, from 0: (n,), or one for all vectors.

        Returns
        -------
        Tensor
            Latent vectors (n, length).
        """
        start = self.noise + sum(self.categories[:code])
        size = self.categories[code]
        values = torch.as_tensor(values, device=z.device).expand(len(z))
        z = z.clone()
        z[:, start : start + size] = F.one_hot(values, size).to(z.dtype)
        return z

    def with_continuous(self, z: Tensor, code: int, values: Tensor | float) -> Tensor:
        """Return a copy of latent vectors in which one continuous code is set.

        Parameters
        ----------
        z : Tensor
            Latent vectors (n, length).
        code : int
            Index of the continuous code.
        values : Tensor | float
            Values of the code, in [-1, 1]: (n,), or one for all vectors.

        Returns
        -------
        Tensor
            Latent vectors (n, length).
        """
        z = z.clone()
        z[:, self.noise + sum(self.categories) + code] = torch.as_tensor(values, dtype=z.dtype, device=z.device)
        return z


def _draw_uniform(n: int, length: int, generator: torch.Generator | None, device: torch.device | str) -> Tensor:
    """Return (n, length) values from U(-1, 1)."""
    return torch.rand(n, length, generator=generator, device=device) * 2 - 1


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Interpolate spherically between two vectors (Shoemake 1985); their lengths are interpolated linearly.

    High-dimensional normal noise concentrates near a sphere. The straight line between two vectors leaves this sphere
    and passes through latent vectors that the generator has not seen in training. A zero vector has no direction; to
    or from one, and between opposite vectors, the interpolation is linear.

    Parameters
    ----------
    a : Tensor
        First vector (d,).
    b : Tensor
        Second vector (d,).
    t : Tensor
        Positions (n,) between ``a`` (0) and ``b`` (1).

    Returns
    -------
    Tensor
        Interpolated vectors (n, d).

    Raises
    ------
    ValueError
        If the vectors or positions have other shapes.

    Examples
    --------
    >>> slerp(torch.zeros(2), torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.5])).tolist()
    [[0.0, 0.0], [1.5, 2.0]]
    """
    if a.ndim != 1 or a.shape != b.shape or t.ndim != 1:
        raise ValueError(
            "`a` and `b` must have the same shape (d,) and `t` (n,),"
            f" got {tuple(a.shape)}, {tuple(b.shape)} and {tuple(t.shape)}"
        )
    if not (a.any() and b.any()):
        return (1 - t[:, None]) * a + t[:, None] * b
    unit_a = a / a.norm()
    unit_b = b / b.norm()
    angle = torch.arccos((unit_a @ unit_b).clamp(-1, 1))
    t = t[:, None]
    if float(torch.sin(angle)) < 1e-4:  # on one line: the formula would divide by zero
        return (1 - t) * a + t * b
    direction = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / torch.sin(angle)
    return direction * ((1 - t) * a.norm() + t * b.norm())
