"""Text generation on an accelerator: pages, jobs, sampling. It does not know what the accelerator is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..arch.formats import BLOCK
from ..arch.layout import ceil_div
from .compiler import CompiledModel
from .cycles import chunk_for
from .device import Accelerator, Job, JobResult
from .requests import CONTEXT_FIX, RequestError, check_prompt
from .sampling import Sampler, Sampling

OnToken = Callable[[int], None]


@dataclass
class PageAllocator:
    """Physical pages of the KV cache that no sequence owns.

    Parameters
    ----------
    pages : how many the cache has.
    """

    pages: int
    _free: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._free = list(range(self.pages))

    @property
    def available(self) -> int:
        """Free pages."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """The `count` lowest free pages, ascending.

        Raises
        ------
        RequestError
            Fewer are free.
        """
        if count > len(self._free):
            raise RequestError(f"the KV cache has {len(self._free)} free pages of {self.pages}, {count} are needed")
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def give_back(self, pages: Sequence[int]) -> None:
        """Pages that their sequence no longer needs."""
        self._free = sorted([*self._free, *pages])


@dataclass(frozen=True)
class Generation:
    """What one request gave.

    Attributes
    ----------
    prompt : tokens that were fed, in order.
    tokens : generated ones; an end-of-text token is the last one, if it came.
    reason : why it ended: "count", "end" (of text), "stop" (asked to) or "context" (no position left).
    jobs : results of the device's jobs, in order.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    reason: str
    jobs: tuple[JobResult, ...]


class Session:
    """One sequence on one accelerator.

    Parameters
    ----------
    accelerator : Accelerator
        The model is loaded onto it here.
    compiled : CompiledModel
    allocator : PageAllocator or None
        Shared by the sessions of an accelerator; None: the session has the cache for itself.
    sequence : int
        Which of the device's block tables; below cache.sequences.

    Attributes
    ----------
    position : int
        Positions in the cache.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        compiled: CompiledModel,
        allocator: PageAllocator | None = None,
        sequence: int = 0,
    ) -> None:
        sequences = compiled.config.cache.sequences
        if not 0 <= sequence < sequences:
            raise RequestError(f"sequence is {sequence}: this config has {sequences}, numbered from 0")
        self.accelerator, self.compiled, self.sequence = accelerator, compiled, sequence
        self._allocator = allocator or PageAllocator(compiled.config.cache.pages)
        self._pages: list[int] = []
        self._unfed: tuple[int, ...] = ()  # sampled last, not in the cache yet
        self.position = 0
        accelerator.load(compiled)

    def reset(self) -> None:
        """Forget the sequence and free its pages."""
        if self._pages:
            self.accelerator.close(self.sequence)
            self._allocator.give_back(self._pages)
        self._pages, self._unfed, self.position = [], (), 0

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        sampling: Sampling | None = None,
        on_token: OnToken | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generation:
        """Continue the sequence with a prompt and generate.

        Parameters
        ----------
        prompt : token ids; one at least.
        count : tokens to generate at most; it ends earlier at an end-of-text token or when the context is full.
        sampling : None is greedy, which the device does on its own.
        on_token : called with every token as it comes.
        stop : asked after every token whether to end here; each token is then a job of its own.

        Raises
        ------
        RequestError
            The prompt is empty, has an id beyond the vocabulary or is longer than the context; count is below 1.
        """
        sampler = Sampler(sampling or Sampling())
        tokens = self._unfed + tuple(int(t) for t in prompt)
        check_prompt(
            prompt,
            count,
            unfed=len(self._unfed),
            position=self.position,
            context=self.compiled.context,
            vocabulary=self.compiled.model.vocab_size,
            fix=CONTEXT_FIX,
        )
        room = self.compiled.context - self.position - len(tokens) + 1
        goal = min(count, room)
        self._reserve(self.position + len(tokens) + goal - 1)
        ends = self.compiled.model.eos_ids
        generated: list[int] = []
        jobs: list[JobResult] = []

        def emit(token: int) -> None:
            generated.append(token)
            if on_token:
                on_token(token)

        while len(generated) < goal and not (generated and generated[-1] in ends):
            single = not sampler.sampling.greedy or len(ends) > 1 or stop is not None
            steps = 1 if single else goal - len(generated)
            chunk = chunk_for(self.compiled, self.position, len(tokens))
            job = Job(self.sequence, self.position, tokens, steps, ends[0] if ends else None, chunk)
            greedy = sampler.sampling.greedy
            result = self.accelerator.run(job, emit if greedy else None)
            if not greedy:
                emit(sampler.choose(result.candidates))
            jobs.append(result)
            self.position += len(tokens) + len(result.tokens) - 1
            tokens = self._unfed = (generated[-1],)
            if stop is not None and len(generated) < goal and stop():
                return Generation(tuple(prompt), tuple(generated), "stop", tuple(jobs))
        reason = "end" if generated[-1] in ends else "count" if len(generated) == count else "context"
        return Generation(tuple(prompt), tuple(generated), reason, tuple(jobs))

    def _reserve(self, positions: int) -> None:
        """Map pages for that many positions: the device runs all its steps without the host."""
        missing = ceil_div(positions, BLOCK) - len(self._pages)
        if missing > 0:
            self._pages += self._allocator.take(missing)
            self.accelerator.open(self.sequence, tuple(self._pages))
