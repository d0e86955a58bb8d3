"""A small model of characters whose attention is `13_trained.attn`, trained with the kernels that attnc derives.

By default the same model with its attention in plain PyTorch is trained beside it, from the same numbers on the same
batches, and the curves are compared at every step.

    python examples/train_characters.py --steps 300
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import attnc

HERE = Path(__file__).parent
BATCH, LENGTH, WIDTH, HEADS, LAYERS = 8, 64, 64, 4, 2
CAP = 15.0

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def by_torch(q: Tensor, k: Tensor, v: Tensor, slope: Tensor, sink: Tensor) -> Tensor:
    """The attention of `13_trained.attn`, statement by statement."""
    place = torch.arange(q.shape[2])
    distance = place[:, None] - place[None, :]
    score = CAP * torch.tanh(q @ k.mT / math.sqrt(q.shape[3]) / CAP) - slope[:, None, None] * distance
    score = score.masked_fill(distance < 0, -math.inf)
    rest = sink[:, None, None].expand(*score.shape[:3], 1)
    return torch.cat([score, rest], -1).softmax(-1)[..., :-1] @ v


ATTENTION: dict[str, Attend] = {"attnc": attnc.load(HERE / "13_trained.attn", strict=True), "torch": by_torch}


class Block(nn.Module):
    """Attention, then two layers on each character, both beside the stream that they add to."""

    def __init__(self, attend: Attend) -> None:
        """Slopes begin as in ALiBi, sinks at 0; both are learned."""
        super().__init__()
        self.attend = attend
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.slope = nn.Parameter(2.0 ** -torch.arange(2.0, 2 * HEADS + 1, 2))
        self.sink = nn.Parameter(torch.zeros(HEADS))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """The stream with what this block adds."""
        heads = self.qkv(self.before(x)).unflatten(-1, (3, HEADS, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        found = self.attend(q, k, v, self.slope, self.sink)
        x = x + self.out(found.transpose(1, 2).flatten(-2))
        stream: Tensor = x + self.mlp(self.between(x))
        return stream


class Characters(nn.Module):
    """The next character from those before it; positions are known to the attention alone."""

    def __init__(self, attend: Attend, characters: int) -> None:
        """The same numbers for every attention: the seed is fixed."""
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(characters, WIDTH)
        self.blocks = nn.Sequential(*(Block(attend) for _ in range(LAYERS)))
        self.read = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters))

    def forward(self, text: Tensor) -> Tensor:
        """A score for each character that may come next."""
        scores: Tensor = self.read(self.blocks(self.embedding(text)))
        return scores


def curve(attention: str, steps: int) -> Iterator[float]:
    """The loss at each step of a training on the licence's text."""
    text = (HERE.parent / "LICENSE").read_text()
    alphabet = sorted(set(text))
    tokens = torch.tensor([alphabet.index(character) for character in text])
    model = Characters(ATTENTION[attention], len(alphabet))
    optimiser, dice = torch.optim.AdamW(model.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    for _ in range(steps):
        starts = torch.randint(len(tokens) - LENGTH, (BATCH, 1), generator=dice)
        batch = tokens[starts + torch.arange(LENGTH + 1)]
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield loss.item()


def main() -> None:
    """Prints the loss as it falls, and how far the curves lie apart."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--attention", choices=sorted(ATTENTION), help="train one model only")
    asked = parser.parse_args()
    names = [asked.attention] if asked.attention else list(ATTENTION)
    apart = 0.0
    for step, losses in enumerate(zip(*(curve(name, asked.steps) for name in names), strict=True)):
        apart = max(apart, max(losses) - min(losses))
        if step % 20 == 0 or step == asked.steps - 1:
            print(f"step {step:4}", *(f"{name} {loss:.6f}" for name, loss in zip(names, losses, strict=True)), sep="  ")
    if len(names) > 1:
        print(f"largest difference {apart:.2g}")


if __name__ == "__main__":
    main()
