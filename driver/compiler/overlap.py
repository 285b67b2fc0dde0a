"""Pass after allocation: the order in which units work beside each other.

In a layer, vector work and products alternate: V0 M0 V1 M1 ... With two chunks A and B of a prompt the order becomes
M0(A) V1(A) M0(B) V1(B) M1(A) V2(A) ..., so that the vector unit works on one chunk while the array multiplies for the
other. Instructions of a chunk still begin one after the other; units take theirs in program order.

Gains come through the same stream as weights, in program order. A LOAD at the head of V(i) would wait behind the other
chunk's M(i-1), hence it stands before its own chunk's M(i-1), where the array drains anyway; that of V0 stands in the
layer before. A LOAD cannot pass products that read the parameter memory too (BIAS).
"""

from dataclasses import dataclass, replace

from ...arch.isa import Flag, Opcode
from .program import Operation

_PRODUCTS = (Opcode.MATMUL, Opcode.ATTEND)


@dataclass(frozen=True)
class _Stage:
    """Vector work and the products that follow it; `loads` are those of the vector work that may come earlier."""

    loads: list[Operation]
    vector: list[Operation]
    products: list[Operation]

    @property
    def reads_parameters(self) -> bool:
        """Whether the products need the parameter memory."""
        return any(Flag.BIAS in operation.flags for operation in self.products)


def overlap(operations: list[Operation], chunks: int) -> list[Operation]:
    """The program for passes of at most `chunks` chunks, 1 or 2, from that in the order of the arithmetic."""
    result: list[Operation] = []
    start = 0

    def each(some: list[Operation]) -> list[Operation]:
        return [copy for operation in some for copy in (operation, _second(operation))[:chunks]]

    for loop in [i for i, operation in enumerate(operations) if operation.opcode == Opcode.LOOP]:
        end = next(i for i in range(loop, len(operations)) if operations[i].opcode == Opcode.NEXT)
        stages = _stages(operations[loop + 1 : end])
        first = [replace(load, layer=operations[loop].k) for load in stages[0].loads]
        result += [*each(operations[start:loop]), *each(first), operations[loop]]
        body = len(result)
        result += _one_chunk(stages) if chunks == 1 else _two_chunks(stages)
        result.append(replace(operations[end], target=body))
        start = end + 1
    return result + operations[start:]


def _stages(body: list[Operation]) -> list[_Stage]:
    """Cut the body of a loop into stages."""
    stages: list[tuple[list[Operation], list[Operation]]] = [([], [])]
    for operation, following in zip(body, [*body[1:], None], strict=True):
        of_product = operation.opcode == Opcode.LOAD and following is not None and following.opcode == Opcode.MATMUL
        if operation.opcode in _PRODUCTS or of_product:
            stages[-1][1].append(operation)
        elif stages[-1][1]:
            stages.append(([operation], []))
        else:
            stages[-1][0].append(operation)
    plain = [_Stage([], vector, products) for vector, products in stages]
    return [
        stage if before.reads_parameters else _hoisted(stage)
        for before, stage in zip([plain[-1], *plain[:-1]], plain, strict=True)
    ]


def _hoisted(stage: _Stage) -> _Stage:
    count = next(i for i, operation in enumerate(stage.vector) if operation.opcode != Opcode.LOAD)
    return _Stage(stage.vector[:count], stage.vector[count:], stage.products)


def _loads(stages: list[_Stage]) -> list[list[Operation]]:
    """Those of each stage; then those of the first stage again, for the layer after, and none."""
    return [stage.loads for stage in stages] + [[replace(load, ahead=1) for load in stages[0].loads], []]


def _one_chunk(stages: list[_Stage]) -> list[Operation]:
    """The body for one chunk: a stage's loads beside the products before it."""
    loads = _loads(stages)
    result = [*stages[0].vector]
    for index, stage in enumerate(stages):
        result += [*loads[index + 1], *_beside(stage.products, loads[index + 1])]
        result += stages[index + 1].vector if index + 1 < len(stages) else []
    return result


def _two_chunks(stages: list[_Stage]) -> list[Operation]:
    """The body for two chunks, in turn."""
    loads = _loads(stages)
    vector = [stage.vector for stage in stages] + [[]]
    result = [*vector[0], *map(_second, vector[0]), *loads[1]]
    for index, stage in enumerate(stages):
        products = _beside(stage.products, loads[index + 1])
        result += [*products, *map(_second, loads[index + 1]), *vector[index + 1]]
        result += [*map(_second, products), *loads[index + 2], *map(_second, vector[index + 1])]
    return result


def _beside(products: list[Operation], loads: list[Operation]) -> list[Operation]:
    """Products that do not wait for the last load before them."""
    if not loads:
        return products
    return [replace(products[0], flags=products[0].flags | Flag.BESIDE), *products[1:]]


def _second(operation: Operation) -> Operation:
    return replace(operation, flags=operation.flags | Flag.SECOND)
