"""The float reference against PyTorch (reference.npz), against itself step by step, and against mathematics."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celosia.arch.model import Model, ModelConfig, WeightTensor, expected_shapes, rope_frequencies
from celosia.driver.importers.fields import Fields, scaled_frequencies
from celosia.golden.transformer import Transformer, forward, gelu, generate, rope_rotation, rotate, silu

from .reference_cases import CASES, Case

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))


def model_of(case: Case) -> Model:
    neox = case.family == "neox"
    plain = rope_frequencies(case.head_dim, case.theta)
    config = ModelConfig(
        name=case.name,
        dim=case.dim,
        hidden_dim=case.hidden,
        n_layers=case.layers,
        n_heads=case.heads,
        n_kv_heads=case.kv_heads,
        head_dim=case.head_dim,
        vocab_size=case.vocabulary,
        context_length=512,
        norm="layer" if neox else "rms",
        activation="gelu" if neox else f"{case.activation}_gated",
        rope_theta=case.theta,
        rope_frequencies=scaled_frequencies(Fields(Path(case.name), case.rope), plain, 512),
        tied_embeddings=case.tied,
        qkv_bias=case.bias,
        attention_output_bias=case.bias,
        mlp_bias=case.bias,
    )
    weights = case.weights()
    assert {name: values.shape for name, values in weights.items()} == expected_shapes(config)
    return Model(config, {name: WeightTensor(name, "F32", v.shape, v) for name, v in weights.items()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_logits_equal_pytorch(case: Case) -> None:
    expected = REFERENCE[case.name]
    logits = forward(model_of(case), case.prompt())
    assert logits.dtype == np.float32
    assert logits.shape == expected.shape == (case.tokens, case.vocabulary)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_token_by_token_equals_all_at_once(case: Case) -> None:
    model, prompt = model_of(case), case.prompt()
    whole = forward(model, prompt)
    transformer = Transformer(model)
    for _ in range(2):  # the second time after a reset
        steps = [transformer.advance(prompt[: case.tokens // 2 + 1])]
        steps += [transformer.advance([token]) for token in prompt[case.tokens // 2 + 1 :]]
        assert transformer.position == case.tokens
        np.testing.assert_allclose(np.concatenate(steps), whole, rtol=0, atol=1e-5 * np.abs(whole).max())
        transformer.reset()


def test_neighbour_pairing_is_half_pairing_of_permuted_rows() -> None:
    case = CASES[2]
    model = model_of(case)
    half = case.head_dim // 2
    order = np.stack([np.arange(half), np.arange(half) + half], axis=1).ravel()  # row i of a pair next to row i + half
    tensors = dict(model.tensors)
    for name, tensor in model.tensors.items():
        if name.endswith((".wq", ".wk")):
            rows = tensor.dequantize().reshape(-1, case.head_dim, case.dim)[:, order].reshape(tensor.shape)
            tensors[name] = replace(tensor, data=rows)
    permuted = Model(replace(model.config, rope_pairing="neighbour"), tensors)
    expected = REFERENCE[case.name]
    np.testing.assert_allclose(forward(permuted, case.prompt()), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_rotation_is_a_complex_product() -> None:
    config = replace(model_of(CASES[0]).config, rope_pairing="neighbour")
    positions = np.array([0, 1, 7, 131071])
    x = np.random.RandomState(0).standard_normal((4, 2, 8)).astype(np.float32)
    turned = rotate(config, x, rope_rotation(config, positions))
    for t, position in enumerate(positions.tolist()):
        for pair, frequency in enumerate(config.rope_frequencies):
            angle = position * frequency
            z = x[t, :, 2 * pair] + 1j * x[t, :, 2 * pair + 1].astype(np.complex128)
            z = z * complex(math.cos(angle), math.sin(angle))
            np.testing.assert_allclose(turned[t, :, 2 * pair], z.real, rtol=0, atol=5e-7)
            np.testing.assert_allclose(turned[t, :, 2 * pair + 1], z.imag, rtol=0, atol=5e-7)


@pytest.mark.parametrize("x", [-100.0, -20.0, -3.0, -0.5, 0.0, 1e-3, 2.0, 50.0])
def test_activations_against_mathematics(x: float) -> None:
    argument = np.array([x], np.float32)
    x = float(argument[0])
    assert silu(argument)[0] == pytest.approx(x / (1 + math.exp(-x)), rel=1e-6, abs=2e-7 * abs(x))
    assert gelu(argument)[0] == pytest.approx(x * math.erfc(-x / math.sqrt(2)) / 2, rel=1e-6, abs=1e-45)


def test_greedy_tokens_repeat_and_stop() -> None:
    case = CASES[1]
    model = model_of(case)
    transformer = Transformer(model)
    tokens = generate(transformer, case.prompt(), 12)
    assert len(tokens) == 12
    logits = forward(model, case.prompt() + tokens)
    assert [int(row.argmax()) for row in logits[case.tokens - 1 : -1]] == tokens
    stopping = Model(replace(model.config, eos_ids=(tokens[3],)), model.tensors)
    assert generate(Transformer(stopping), case.prompt(), 12) == tokens[: tokens.index(tokens[3]) + 1]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], r"^tokens are \[\]: there must be some"),
        ([37], r"^tokens are \[37\]: there must be some, each 0 to 36$"),
        ([-1], r"^tokens are \[-1\]"),
        ([1] * 513, r"^position is 513: the context length is 512$"),
    ],
)
def test_tokens_wrong(tokens: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forward(model_of(CASES[0]), tokens)
