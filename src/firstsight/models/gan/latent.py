"""The generator's input: noise, one-hot categories, continuous codes, one after the other in a vector."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Latent:
    """What a generator is given.

    Parameters
    ----------
    noise : int
        How many values of noise.
    categories : tuple[int, ...]
        How many values each categorical code has.
    continuous : int
        How many continuous codes, in [-1, 1].
    kind : Literal['normal', 'uniform']
        Distribution of the noise, N(0, 1) or U(-1, 1).
    """

    noise: int
    categories: tuple[int, ...] = ()
    continuous: int = 0
    kind: Literal["normal", "uniform"] = "normal"

    @property
    def length(self) -> int:
        """Of the whole vector."""
        return self.noise + sum(self.categories) + self.continuous

    def draw(
        self, n: int, *, generator: torch.Generator | None = None, device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:  # fmt: skip
        """(n, length): noise and codes at random; every category as probable as every other."""
        if self.kind == "normal":
            parts = [torch.randn(n, self.noise, generator=generator, device=device)]
        else:
            parts = [_signed(n, self.noise, generator, device)]
        for values in self.categories:
            chosen = torch.randint(values, (n,), generator=generator, device=device)
            parts.append(F.one_hot(chosen, values).to(parts[0].dtype))
        if self.continuous:
            parts.append(_signed(n, self.continuous, generator, device))
        return torch.cat(parts, 1).to(dtype)

    def codes(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """The codes of latent vectors: (n,) category numbers for each categorical code; (n, continuous) values."""
        _, *rest = z.split((self.noise, *self.categories, self.continuous), dim=1)
        return [part.argmax(1) for part in rest[:-1]], rest[-1]

    def with_category(self, z: Tensor, code: int, values: Tensor | int) -> Tensor:
        """The same vectors with the ``code``-th categorical code set to ``values``, (n,) or one number."""
        start, size = self.noise + sum(self.categories[:code]), self.categories[code]
        chosen = torch.as_tensor(values, device=z.device).expand(len(z))
        z = z.clone()
        z[:, start : start + size] = F.one_hot(chosen, size).to(z.dtype)
        return z

    def with_continuous(self, z: Tensor, code: int, values: Tensor | float) -> Tensor:
        """The same vectors with the ``code``-th continuous code set to ``values``, (n,) or one number."""
        z = z.clone()
        z[:, self.noise + sum(self.categories) + code] = torch.as_tensor(values, dtype=z.dtype, device=z.device)
        return z


def _signed(n: int, length: int, generator: torch.Generator | None, device: torch.device | str) -> Tensor:
    """U(-1, 1)."""
    return torch.rand(n, length, generator=generator, device=device) * 2 - 1


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Points on the great circle from ``a`` to ``b`` (Shoemake 1985), whose lengths go from one's to the other's.

    Normal noise of many values lies near a sphere; the straight line leaves it for places the generator has not seen.

    Parameters
    ----------
    a, b : Tensor
        (d,) vectors.
    share : Tensor
        (n,) in [0, 1].

    Returns
    -------
    Tensor
        (n, d)
    """
    one, two = a / a.norm(), b / b.norm()
    angle = torch.arccos((one @ two).clamp(-1, 1))
    share = share[:, None]
    if float(torch.sin(angle)) < 1e-4:
        return (1 - share) * a + share * b
    direction = (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * two) / torch.sin(angle)
    return direction * ((1 - share) * a.norm() + share * b.norm())
