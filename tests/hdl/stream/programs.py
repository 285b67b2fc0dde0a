"""Random programs and jobs for the stream unit, in an image and a cache of 1 MiB each."""

from __future__ import annotations

from random import Random

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.formats import BLOCK
from celosia.arch.isa import Flag, Geometry, Instruction, Opcode
from celosia.arch.layout import CacheLayout, ceil_div

from .plan import Job

IMAGE_BYTES = 1 << 20
LAYERS = 2


def _place(config: AcceleratorConfig, random: Random, first: int) -> dict[str, int]:
    """base and stride of an operand in layers `first` .. LAYERS; base may wrap below 0."""
    bus = derive(config).bus_bytes
    stride = random.randrange(0, IMAGE_BYTES // 16, bus)
    start = random.randrange(0, IMAGE_BYTES // 2, bus)
    return {"base": (start - first * stride) % (1 << 40), "stride": stride}


def _matmul(config: AcceleratorConfig, random: Random, first: int, flags: Flag) -> Instruction:
    return Instruction(
        Opcode.MATMUL,
        format=random.choice(derive(config).formats).code,
        flags=flags,
        n=random.choice([random.randint(1, 40), 32 * random.randint(1, 3)]),
        k=random.randint(1, 5),
        **_place(config, random, first),
    )


def _operand(config: AcceleratorConfig, random: Random, first: int, flags: Flag = Flag(0)) -> Instruction:
    kind = random.choice([Opcode.LOAD, Opcode.ROPE_TABLE, Opcode.MATMUL, Opcode.MATMUL, Opcode.NORM])
    if kind is Opcode.MATMUL:
        return _matmul(config, random, first, flags | random.choice((Flag(0), Flag.BESIDE)))
    flags |= random.choice((Flag(0), Flag(0), Flag.BESIDE))
    return Instruction(kind, flags=flags, n=32 * random.randint(1, 3), k=1, **_place(config, random, first))


def _body(
    config: AcceleratorConfig, random: Random, first: int, cache: dict[str, int], groups: int
) -> list[Instruction]:
    """A layer: operands around an APPEND and an ATTEND; with two chunks, the second's between the first's."""
    chunks = (Flag(0), Flag.SECOND)[: config.vector.chunks]

    def operands() -> list[Instruction]:
        return [_operand(config, random, first, random.choice(chunks)) for _ in range(random.randint(0, 3))]

    body = operands()
    for flags in chunks:
        body += [Instruction(Opcode.APPEND, flags=flags, **cache), *operands()]
    for flags in chunks:
        body += [Instruction(Opcode.ATTEND, flags=flags, k=groups, **cache), *operands()]
    return body


def random_program(config: AcceleratorConfig, random: Random) -> tuple[list[Instruction], int]:
    """A program with two loops, head instructions and attention; and the bytes of a page of its cache."""
    geometry = Geometry(
        kv_heads=random.randint(1, 2),
        group=random.randint(1, 4),
        head_blocks=random.randint(1, 2),
        sub_heads_log2=random.randint(0, 2),
        head_dim=8,
    )
    cache = CacheLayout(config, geometry.kv_heads, geometry.head_blocks, LAYERS)
    paging = {"base": cache.page_bytes, "stride": cache.layer_bytes, "aux": geometry.encode()}
    # Up to three passes over the pages in a full chunk.
    most_groups = ceil_div(config.vector.chunk * geometry.rows_per_token, config.array.rows)
    program = [Instruction(Opcode.EMBED, n=10, k=1), _operand(config, random, 0)]
    if config.vector.chunks > 1:
        program += [Instruction(Opcode.EMBED, flags=Flag.SECOND, n=10, k=1), _operand(config, random, 0, Flag.SECOND)]
    chunks = (Flag(0), Flag.SECOND)[: config.vector.chunks]
    program += [Instruction(Opcode.LOAD_ROWS, flags=flags, n=32) for flags in chunks]
    split = random.randint(1, LAYERS - 1)
    for first, end in ((0, split), (split, LAYERS)):
        program.append(Instruction(Opcode.LOOP, k=first, n=end))
        start = len(program)
        program += _body(config, random, first, paging, ceil_div(most_groups, random.randint(1, 3)))
        program.append(Instruction(Opcode.NEXT, src=start))
    program += [Instruction(Opcode.STORE_ROWS, flags=flags, n=32) for flags in chunks]
    program += [_operand(config, random, 0, Flag.HEAD) for _ in range(2)]
    program += [_matmul(config, random, 0, Flag.HEAD), Instruction(Opcode.SAMPLE, flags=Flag.HEAD)]
    return [*program, Instruction(Opcode.END)], cache.page_bytes


def random_job(config: AcceleratorConfig, random: Random) -> Job:
    """A job within four pages."""
    position, count = random.choice([0, 32, random.randrange(80)]), random.randint(1, 24)
    assert position + count + 3 <= 4 * BLOCK
    return Job(
        sequence=random.randrange(config.cache.sequences),
        position=position,
        count=count,
        steps=random.randrange(4),
        chunk=random.randrange(config.vector.chunk + 2),
    )


def throughput_program(config: AcceleratorConfig) -> list[Instruction]:
    """MATMULs of all formats, each a few hundred tiles, with the small operands that stand between them."""
    program: list[Instruction] = []
    base = 0
    for index in range(24):
        weight_format = derive(config).formats[index % len(derive(config).formats)]
        matmul = Instruction(Opcode.MATMUL, format=weight_format.code, n=256, k=4, base=base)
        load = Instruction(Opcode.LOAD, n=256, base=base)
        program += [matmul, load] if index % 3 == 0 else [matmul]
        base += 4096 * (index % 5)
    return [*program, Instruction(Opcode.END)]
