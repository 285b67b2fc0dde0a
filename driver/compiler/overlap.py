"""Pass after allocation: the order in which units work beside each other.

In a layer, vector work and products alternate: V0 M0 V1 M1 ... With two chunks A and B of a prompt the order becomes
M0(A) V1(A) M0(B) V1(B) M1(A) V2(A) ..., so that the vector unit works on one chunk while the array multiplies for the
other. Instructions of a chunk still begin one after the other; units take theirs in program order.

Gains come through the same stream as weights, in program order. At the head of V(i), A's LOAD would wait for the end of
M(i-1)(A), and B's for that of M(i-1)(B), with V(i)(A) behind it. Hence both stand right behind M(i-1)(A): while that
drains, and before M(i-1)(B). Those of V0 stand in the layer before. No LOAD may pass products that read the parameter
memory too (BIAS).
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
        result += [*each(operations[start:loop]), *each(_beside(first)), operations[loop]]
        body = len(result)
        result += _body(stages, chunks)
        result.append(replace(operations[end], target=body))
        start = end + 1
    return result + operations[start:]


def _stages(body: list[Operation]) -> list[_Stage]:
    """Cut the body of a loop into stages."""
    stages: list[tuple[list[Operation], list[Operation]]] = [([], [])]
    for operation, following in zip(body, [*body[1:], None], strict=True):
        of_product = operation.opcode == Opcode.LOAD and following is not None and following.opcode == Opcode.MATMUL
        if operation.opcode in _PRODUCTS or of_product or Flag.BESIDE in operation.flags:
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


def _body(stages: list[_Stage], chunks: int) -> list[Operation]:
    """The body of a loop: products of a stage, loads and vector work of the next, of one chunk and of the other."""
    second = (lambda operations: [_second(operation) for operation in operations]) if chunks == 2 else lambda _: []
    result = [*stages[0].vector, *second(stages[0].vector)]
    ahead = [replace(load, ahead=1) for load in stages[0].loads]
    for stage, following in zip(stages, [*stages[1:], _Stage(ahead, [], [])], strict=True):
        loads, vector = following.loads, following.vector
        result += [*stage.products, *_beside(loads), *second(loads), *vector]
        products = [*_beside(stage.products[:1]), *stage.products[1:]] if loads else stage.products
        result += second([*products, *vector])
    return result


def _beside(operations: list[Operation]) -> list[Operation]:
    """Operations that do not wait for the one before them."""
    return [replace(operation, flags=operation.flags | Flag.BESIDE) for operation in operations]


def _second(operation: Operation) -> Operation:
    return replace(operation, flags=operation.flags | Flag.SECOND)
