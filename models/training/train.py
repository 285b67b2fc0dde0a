"""Trains the embedded default model from nothing and writes it as a Hugging Face folder.

    python -m celosia.models.training.train --output DIR [--steps N] [--seed S] [--start DIR --emphasis W]

The corpus is generated while training. Projections are trained by Muon (momentum made orthogonal by a Newton-Schulz
iteration), embedding and norms by Adam. After the first quarter of the steps the forward pass uses weights rounded to
Q4_0 and Q8_0 with straight-through gradients.
"""

import argparse
import itertools
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from . import export, generator, words
from .network import CONTEXT, Network, Precision

ROWS = 8  # rows of 512 tokens in a step
MUON_RATE, ADAM_RATE = 0.02, 0.004
VALIDATION_SEED, VALIDATION_ROWS = 1_000_003, 64
PRONOUNS = ("he", "him", "his", "she", "her")
CHARACTERS = (*words.BOYS, *words.GIRLS, *words.CREATURES_HE, *words.CREATURES_SHE)
REFERENCE = re.compile(rf"\b({'|'.join((*PRONOUNS, 'He', 'His', 'She', 'Her', *CHARACTERS))})\b")
PROMPTS = ("Once upon a time", "The little fox", "One day", "Lily", "The dragon")
FLOAT, WEIGHTS = Precision(), Precision(weights=True)
DEVICE = Precision(weights=True, activations=True)


def weights_of(story: str, emphasis: float) -> list[float]:
    """Weight of every byte of `story` in the loss: `emphasis` where it follows from the story who is meant.

    That is for pronouns, and for a character's name after its first mention.
    """
    weights = [1.0] * len(story)
    met: set[str] = set()
    for match in REFERENCE.finditer(story):
        if match.group() in met or match.group().lower() in PRONOUNS:
            weights[match.start() : match.end()] = [emphasis] * len(match.group())
        met.add(match.group())
    return weights


def rows(seed: int, emphasis: float) -> Iterator[tuple[list[int], list[float]]]:
    """Endless rows of 513 token ids with their weights: stories separated by `END`, which starts two of three rows."""
    source = generator.stories(seed)
    for count in itertools.count():
        tokens, weights = ([], []) if count % 3 == 0 else ([generator.END], [1.0])
        while len(tokens) <= CONTEXT:
            text = next(source)
            tokens += [*text.encode("ascii"), generator.END]
            weights += [*weights_of(text, emphasis), 1.0]
        yield tokens[: CONTEXT + 1], weights[: CONTEXT + 1]


def batches(seed: int, emphasis: float = 1.0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless (inputs, targets, weights of the targets), each [`ROWS`, 512]."""
    source = rows(seed, emphasis)
    while True:
        tokens, weights = zip(*itertools.islice(source, ROWS), strict=True)
        block = torch.tensor(tokens)
        yield block[:, :-1], block[:, 1:], torch.tensor(weights)[:, 1:]


def loss_of(network: Network, inputs: Tensor, targets: Tensor, weights: Tensor, precision: Precision) -> Tensor:
    """Weighted mean negative log-likelihood of the targets in nats per byte."""
    logits = network(inputs, precision).float()
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


@torch.no_grad()
def bits_per_byte(network: Network, precision: Precision) -> float:
    """Loss in bits per byte over `VALIDATION_ROWS` rows of stories from a seed that training does not use."""
    source = batches(VALIDATION_SEED)
    count = VALIDATION_ROWS // ROWS
    return sum(loss_of(network, *next(source), precision).item() for _ in range(count)) / count / math.log(2)


@torch.no_grad()
def greedy(network: Network, prompt: str, length: int = 480) -> bytes:
    """`prompt` and its most likely continuation, up to and including the first `END` or to `length` bytes in all."""
    tokens = list(prompt.encode("ascii"))
    while len(tokens) < length and tokens[-1] != generator.END:
        tokens.append(int(network(torch.tensor([tokens]), DEVICE)[0, -1].argmax()))
    return bytes(tokens)


class Muon:
    """Nesterov momentum whose update of each matrix is replaced by the nearest semi-orthogonal one."""

    def __init__(self, matrices: list[Tensor], momentum: float = 0.95) -> None:
        self.matrices = matrices
        self.momentum = momentum
        self.memories = [torch.zeros_like(matrix) for matrix in matrices]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every matrix against its gradient, which is cleared."""
        for matrix, memory in zip(self.matrices, self.memories, strict=True):
            assert matrix.grad is not None
            memory.lerp_(matrix.grad, 1 - self.momentum)
            update = orthogonal(matrix.grad.lerp(memory, self.momentum))
            matrix.add_(update, alpha=-rate * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)
            matrix.grad = None


def orthogonal(matrix: Tensor) -> Tensor:
    """`matrix` with its singular values driven to about 1 by five quintic Newton-Schulz steps."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-12)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def schedule(progress: float) -> float:
    """Learning-rate factor at `progress` in 0..1: a short rise, level to 40 %, then linear to 0."""
    return min(1.0, progress / 0.01, (1 - progress) / 0.6)


def train(network: Network, steps: int, seed: int, *, emphasis: float, continued: bool) -> None:
    """Train `network` in place for `steps` steps, printing the loss as it goes.

    A network that is `continued` is trained gently, and for rounded weights from the first step.
    """
    muon = Muon([p for p in network.model.layers.parameters() if p.ndim == 2])
    others = [p for name, p in network.named_parameters() if p.ndim == 1 or "embed" in name]
    adam = torch.optim.Adam(others, betas=(0.9, 0.98))
    source = batches(seed, emphasis)
    began = time.monotonic()
    running = math.nan
    for step in range(steps):
        precision = WEIGHTS if continued or step >= steps // 4 else FLOAT
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(network, *next(source), precision)
        loss.backward()
        factor = schedule((step + 1) / steps) * (0.4 if continued else 1.0)
        muon.step(MUON_RATE * factor)
        adam.param_groups[0]["lr"] = ADAM_RATE * factor
        adam.step()
        adam.zero_grad()
        bits = loss.item() / math.log(2)
        running = bits if math.isnan(running) else 0.98 * running + 0.02 * bits
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps}  {running:.4f} bits/byte  {time.monotonic() - began:.0f} s", flush=True)


def report(network: Network) -> None:
    """Print the validation losses and greedy samples."""
    for name, precision in (("float", FLOAT), ("Q4_0/Q8_0 weights", WEIGHTS), ("and 9-bit activations", DEVICE)):
        print(f"{name}: {bits_per_byte(network, precision):.4f} bits/byte", flush=True)
    for prompt in PROMPTS:
        print(f"{prompt!r}: {greedy(network, prompt)!r}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description="Train the embedded default model and write it as a Hugging Face folder."
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps of 4,096 bytes (default 4000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and corpus (default 1)")
    parser.add_argument("--start", type=Path, help="model folder to continue from, instead of random weights")
    parser.add_argument(
        "--emphasis", type=float, default=1.0, help="weight of names and pronouns in the loss (default 1)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps {options.steps}: must be 1 or more")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = Network()
    if options.start is not None:
        network.load_state_dict(load_file(options.start / "model.safetensors"))
    train(network, options.steps, options.seed, emphasis=options.emphasis, continued=options.start is not None)
    export.write(network, options.output)
    report(network)


if __name__ == "__main__":
    main()
