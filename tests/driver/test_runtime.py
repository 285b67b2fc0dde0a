"""Sessions: pages, jobs, streaming, sampling, and requests that cannot be served."""

import numpy as np
import pytest

from celosia.arch.config import load_config
from celosia.driver.compiler import CompiledModel, compile_model, quantize_model
from celosia.driver.device import AcceleratorError, Job
from celosia.driver.golden_accelerator import GoldenAccelerator
from celosia.driver.reference import FloatSession
from celosia.driver.requests import RequestError
from celosia.driver.runtime import PageAllocator, Session
from celosia.driver.sampling import Sampler, Sampling
from celosia.golden.transformer import Transformer, generate

from .models import random_config, random_model

MODEL = random_model(random_config(context_length=96), 21)
PROMPT = [5, 17, 99, 3]


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return compile_model(MODEL, load_config("kria"))


@pytest.fixture
def session(compiled: CompiledModel) -> Session:
    return Session(GoldenAccelerator(), compiled)


def test_greedy_tokens_stream_and_are_the_references(session: Session, compiled: CompiledModel) -> None:
    seen: list[int] = []
    generation = session.generate(PROMPT, 12, on_token=seen.append)
    assert tuple(seen) == generation.tokens
    assert (generation.reason, len(generation.jobs), session.position) == ("count", 1, 4 + 11)
    reference = Transformer(quantize_model(MODEL, compiled.formats))
    logits = reference.advance(PROMPT)[-1]
    for token in generation.tokens:
        best = np.sort(logits)[-2:]
        assert token == logits.argmax() or best[1] - best[0] < 0.1
        logits = reference.advance([token])[-1]


def test_a_second_request_continues_the_first(session: Session) -> None:
    together = session.generate(PROMPT, 9).tokens
    session.reset()
    first = session.generate(PROMPT, 3).tokens
    assert first == together[:3]
    # The last token of the first request is fed with the second prompt; here that prompt is what greedy decoding gave.
    second = session.generate([together[3]], 5)
    assert second.tokens == together[4:9]
    assert session.position == 4 + 3 + 1 + 4


def test_host_sampling_at_temperature_zero_is_greedy(session: Session) -> None:
    greedy = session.generate(PROMPT, 8).tokens
    session.reset()
    narrow = session.generate(PROMPT, 8, Sampling(temperature=2.0, top_k=1))
    assert narrow.tokens == greedy
    assert len(narrow.jobs) == 8


def test_sampling_follows_its_seed(session: Session) -> None:
    def run(seed: int) -> tuple[int, ...]:
        session.reset()
        return session.generate(PROMPT, 16, Sampling(temperature=1.5, seed=seed)).tokens

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("sampling", [None, Sampling(temperature=1.0, top_k=1)])
def test_stops_at_an_end_of_text_token(sampling: Sampling | None) -> None:
    compiled = compile_model(MODEL, load_config("kria"))
    tokens = Session(GoldenAccelerator(), compiled).generate(PROMPT, 10).tokens
    end = tokens[4]
    expected = tokens[: tokens.index(end) + 1]
    for ends in ((end,), (next(i for i in range(100) if i not in tokens), end)):
        stopping = compile_model(random_model(random_config(context_length=96, eos_ids=ends), 21), load_config("kria"))
        generation = Session(GoldenAccelerator(), stopping).generate(PROMPT, 10, sampling)
        assert (generation.tokens, generation.reason) == (expected, "end")


def test_stops_when_the_context_is_full(session: Session) -> None:
    generation = session.generate([1] * 90, 50)
    assert (len(generation.tokens), generation.reason) == (7, "context")
    assert session.position == 96
    with pytest.raises(
        RequestError, match=r"^the prompt has 2 tokens after 96 positions: the context is 96 positions; "
    ):
        session.generate([1], 1)


def test_requests_that_cannot_be_served(session: Session) -> None:
    with pytest.raises(RequestError, match=r"^the prompt has no tokens: it must have one at least$"):
        session.generate([], 1)
    with pytest.raises(RequestError, match=r"^the number of tokens to generate is 0: it must be 1 or more$"):
        session.generate(PROMPT, 0)
    with pytest.raises(RequestError, match=r"^prompt token 1 is 100: the model has tokens 0 to 99$"):
        session.generate([1, 100], 1)
    with pytest.raises(RequestError, match=r"^prompt token 0 is -1: "):
        session.generate([-1], 1)
    with pytest.raises(RequestError, match=r"^the prompt has 97 tokens: the context is 96 positions; shorten"):
        session.generate([1] * 97, 1)
    assert session.position == 0


def test_sessions_share_the_cache_without_sharing_pages(compiled: CompiledModel) -> None:
    accelerator, allocator = GoldenAccelerator(), PageAllocator(256)
    sessions = [Session(accelerator, compiled, allocator, sequence) for sequence in range(2)]
    alone = Session(GoldenAccelerator(), compiled)
    wanted = []
    for prompt in (PROMPT, [7, 8]):
        alone.reset()
        wanted.append(alone.generate(prompt, 40).tokens)
    got: list[list[int]] = [[], []]
    for turn in range(4):
        for index, prompt in enumerate((PROMPT, [7, 8])):
            # One token short each turn, then fed by hand: turns of different sessions interleave in the cache.
            feed = prompt if turn == 0 else [wanted[index][10 * turn]]
            got[index] += sessions[index].generate(feed, 10 if turn == 0 else 9).tokens
            if turn:
                assert got[index][-9:] == list(wanted[index][10 * turn + 1 : 10 * turn + 10])
    assert allocator.available == 256 - 4
    sessions[0].reset()
    assert allocator.available == 256 - 2
    with pytest.raises(RequestError, match=r"^sequence is 4: this config has 4, numbered from 0$"):
        Session(accelerator, compiled, allocator, 4)


def test_pages_come_lowest_first_and_run_out() -> None:
    allocator = PageAllocator(4)
    assert allocator.take(3) == [0, 1, 2]
    allocator.give_back([1])
    assert allocator.take(2) == [1, 3]
    with pytest.raises(RequestError, match=r"^the KV cache has 0 free pages of 4, 1 are needed$"):
        allocator.take(1)


def test_a_machine_error_names_status_and_address(compiled: CompiledModel) -> None:
    accelerator = GoldenAccelerator()
    accelerator.load(compiled)
    accelerator.open(0, (0,))
    with pytest.raises(AcceleratorError, match=r"^the device stopped: PAGE_UNMAPPED at 0x20$"):
        accelerator.run(Job(0, 32, (1,), 1))


def test_the_float_reference_generates_by_the_same_rules() -> None:
    seen: list[int] = []
    generation = FloatSession(MODEL).generate(PROMPT, 12, on_token=seen.append)
    assert (tuple(seen), generation.reason) == (generation.tokens, "count")
    assert seen == generate(Transformer(MODEL), PROMPT, 12)
    full = FloatSession(MODEL).generate([1] * 90, 50)
    assert (len(full.tokens), full.reason) == (7, "context")
    end = random_model(random_config(context_length=96, eos_ids=(seen[2],)), 21)
    stopped = FloatSession(end).generate(PROMPT, 12)
    assert (stopped.tokens, stopped.reason) == (tuple(seen[: seen.index(seen[2]) + 1]), "end")
    with pytest.raises(
        RequestError, match=r"^the prompt has 97 tokens: the context is 96 positions; shorten the prompt$"
    ):
        FloatSession(MODEL).generate([1] * 97, 1)


CANDIDATES = ((4, 3.0), (9, 2.0), (1, 1.0), (7, -5.0))


def test_top_k_and_top_p_keep_the_best() -> None:
    def drawn(**fields: float) -> set[int]:
        sampler = Sampler(Sampling(**fields))  # type of each field is float or int alike
        return {sampler.choose(CANDIDATES) for _ in range(400)}

    assert drawn(temperature=1.0, top_k=2) == {4, 9}
    assert drawn(temperature=1.0, top_p=0.66) == {4}  # softmax: 0.665, 0.245, 0.090
    assert drawn(temperature=1.0, top_p=0.67) == {4, 9}
    assert drawn(temperature=1.0, top_p=0.95) == {4, 9, 1}
    assert drawn(temperature=0.0) == {4}
    assert drawn(temperature=50.0) == {4, 9, 1, 7}


def test_frequencies_are_those_of_the_softmax() -> None:
    sampler = Sampler(Sampling(temperature=2.0, seed=3))
    counts = {token: 0 for token, _ in CANDIDATES}
    for _ in range(4000):
        counts[sampler.choose(CANDIDATES)] += 1
    weights = np.exp(np.array([v for _, v in CANDIDATES]) / 2)
    for (token, _), p in zip(CANDIDATES, weights / weights.sum(), strict=True):
        assert abs(counts[token] / 4000 - p) < 4 * np.sqrt(p * (1 - p) / 4000) + 1e-9


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -1.0}, r"^temperature is -1.0: it must be 0 \(greedy\) or more$"),
        ({"temperature": float("nan")}, r"^temperature is nan: "),
        ({"top_k": 0}, r"^top_k is 0: it must be 1 or more$"),
        ({"top_p": 0.0}, r"^top_p is 0.0: it must be above 0 and at most 1$"),
        ({"top_p": 1.1}, r"^top_p is 1.1: "),
        ({"seed": -1}, r"^seed is -1: it must be 0 or more$"),
    ],
)
def test_sampling_wrong(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**fields)
