"""The arithmetic of the vector unit: V lanes that normalise, rotate and gate with the same multipliers."""

from collections.abc import Mapping
from enum import IntEnum

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...arch.pipeline import Pipeline
from ..arithmetic.add import FloatAdd
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..interfaces import FLOAT, Interfaces, read_port
from .gate import ActivationFactor, factor_latency


class Operation(IntEnum):
    """What happens to a word between scratchpad and quantizer, or on its way to the row statistics."""

    COPY = 0
    ROTATE = 1
    """Pairs of neighbours by the sine and cosine that come with them."""
    ACTIVATE = 2
    """mul(x, F(x))."""
    GATE = 3
    """mul(mul(x, F(x)), u)."""
    SCALE = 4
    """mul(mul(x, r), gain)."""
    CENTRE_AND_SCALE = 5
    """add(mul(mul(sub(x, mean), r), gain), bias)."""
    SUM = 6
    """x, to the statistics."""
    SQUARE = 7
    """mul(x, x), to the statistics."""
    CENTRE_AND_SQUARE = 8
    """mul(c, c) with c = sub(x, mean), to the statistics."""


class Times:
    """When a word is where: cycles after its scratchpad address, by operation.

    Attributes:
        x: its data is in the register `x`. centred: less the mean.
        first_product, second_product, sum: results of the multipliers and the last adder.
        result, statistic: what goes to the quantizer, and to the row statistics.
        read_gain, read_bias, read_gated: the address of an operand goes out, two cycles before it is used. Where a word
            needs two reads of one memory, words come every other cycle and the second read must fall between them; an
            operand stays in its register until the next comes.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        op, multiply, add = Operation, FloatMultiply.latency, pipeline.add.latency
        factor = factor_latency(pipeline)
        self.x = x = 2
        self.centred = centred = x + add
        first = {
            **dict.fromkeys((op.ROTATE, op.SCALE, op.SQUARE), x + multiply),
            **dict.fromkeys((op.CENTRE_AND_SCALE, op.CENTRE_AND_SQUARE), centred + multiply),
            **dict.fromkeys((op.ACTIVATE, op.GATE), x + factor + multiply),
        }
        second = {
            op.ROTATE: x + multiply,
            **{each: first[each] + multiply for each in (op.SCALE, op.CENTRE_AND_SCALE, op.GATE)},
        }
        self.first_product, self.second_product = first, second
        self.sum = {each: second[each] + add for each in (op.ROTATE, op.CENTRE_AND_SCALE)}
        self.result = {
            op.COPY: x,
            op.ACTIVATE: first[op.ACTIVATE],
            op.GATE: second[op.GATE],
            op.SCALE: second[op.SCALE],
            **self.sum,
        }
        self.statistic = {op.SUM: x, **{each: first[each] for each in (op.SQUARE, op.CENTRE_AND_SQUARE)}}
        self.read_gain = {each: second[each] - multiply - 2 for each in (op.SCALE, op.CENTRE_AND_SCALE)}
        read_bias = second[op.CENTRE_AND_SCALE] - 2
        self.read_bias = read_bias - (read_bias - self.read_gain[op.CENTRE_AND_SCALE] + 1) % 2
        read_gated = second[op.GATE] - multiply - 2
        self.read_gated = read_gated - (read_gated + 1) % 2


class Datapath(wiring.Component):
    """Per lane two multipliers and two adders, per pass one way through them; V floats a cycle, nothing ever waits.

    `valid` says that a word's scratchpad address is out: its data is taken from `x` one cycle later, its rotation two
    cycles later. With GATE and CENTRE_AND_SCALE, words come at even distances only. `operation` and all parameters are
    constant from a cycle before the first word until all have left. Cost: 2 V multipliers, 2 V adders, V
    `ActivationFactor`.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1), pulse: the operands begin anew, at PM word 0 and `bias`
    operation : In(Operation)
    factor : In(2), code of `Factor`
    mean, r : In(32)
    bias : In(20), PM address of the first bias
    valid : In(1); mask : In(V), lanes that are not +0
    x : In(V floats), data of the scratchpad
    sine, cosine : In(V / 2 floats)
    pm : Out(read_port)
    gated_en : Out(1), read the next word of u in this cycle
    o_valid : Out(1), o : Out(V floats), to the quantizer
    o_statistic : Out(1), statistic : Out(V floats), to the row statistics
    overflow : Out(1), a result was saturated

    Attributes
    ----------
    times : Times
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.lanes = interfaces.lanes
        self.pipeline = interfaces.derived.pipeline
        self.times = Times(self.pipeline)
        self.multiplier_bits = interfaces.config.array.multiplier_bits
        vector = interfaces.vector
        pairs = data.ArrayLayout(FLOAT, self.lanes // 2)
        super().__init__(
            {
                "start": In(1),
                "operation": In(Operation),
                "factor": In(2),
                "mean": In(FLOAT),
                "r": In(FLOAT),
                "bias": In(20),
                "valid": In(1),
                "mask": In(self.lanes),
                "x": In(vector),
                "sine": In(pairs),
                "cosine": In(pairs),
                "pm": Out(read_port(interfaces.pm_address, vector)),
                "gated_en": Out(1),
                "o_valid": Out(1),
                "o": Out(vector),
                "o_statistic": Out(1),
                "statistic": Out(vector),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        times = self.times
        # A register for each: what an operation chooses is far away and stands before adders and multipliers.
        self._chosen = Signal(len(Operation))
        m.d.sync += self._chosen.eq(1 << self.operation)
        taps: list[Value] = [self.valid]
        for cycle in range(1, max(times.result.values()) + 1):
            taps.append(delay_valid(m, taps[-1], 1, name=f"valid_{cycle}"))
        mask_1 = delay(m, self.mask, 1, enable=C(1), name="mask_1")
        centred_mask = delay(m, mask_1, times.centred - 1, enable=C(1), name="mask_centred")
        result_mask = delay(
            m, centred_mask, times.sum[Operation.CENTRE_AND_SCALE] - times.centred, enable=C(1), name="mask_result"
        )

        operand, bias = self._operands(m, taps)
        x = Signal(self.o.shape(), reset_less=True)
        for lane in range(self.lanes):
            m.d.sync += x[lane].eq(Mux(mask_1[lane], self.x[lane], 0))
        centred, over_centred = self._add(m, "centre", x, [self.mean] * self.lanes, [C(1)] * self.lanes)
        centring = self._is(Operation.CENTRE_AND_SCALE, Operation.CENTRE_AND_SQUARE)
        base = [Mux(centring, Mux(centred_mask[i], c, 0), x[i]) for i, c in enumerate(centred)]
        first, over_first = self._first_product(m, x, base)
        second, over_second = self._second_product(m, x, first, operand)
        rotate = self._is(Operation.ROTATE)
        sums, over_sum = self._add(
            m,
            "sum",
            [Mux(rotate, a, b) for a, b in zip(first, second, strict=True)],
            [Mux(rotate, b, bias[i]) for i, b in enumerate(second)],
            [rotate if lane % 2 == 0 else C(0) for lane in range(self.lanes)],
        )

        statistic, result = self._is(*times.statistic), self._is(*times.result)
        m.d.sync += [
            self.o_valid.eq(result & self._at(taps, times.result)),
            self.o_statistic.eq(statistic & self._at(taps, times.statistic)),
            self.overflow.eq(
                (over_centred & taps[times.centred] & centring)
                | (over_first & self._at(taps, times.first_product))
                | (over_second & self._at(taps, times.second_product))
                | (over_sum & self._at(taps, times.sum))
            ),
        ]
        for lane in range(self.lanes):
            summed = Mux(rotate | result_mask[lane], sums[lane], 0)
            m.d.sync += [
                self.o[lane].eq(
                    Mux(
                        self._is(*times.sum),
                        summed,
                        Mux(
                            self._is(Operation.COPY),
                            x[lane],
                            Mux(self._is(Operation.ACTIVATE), first[lane], second[lane]),
                        ),
                    )
                ),
                self.statistic[lane].eq(Mux(self._is(Operation.SUM), x[lane], first[lane])),
            ]
        return m

    def _is(self, *operations: Operation) -> Value:
        """Whether the operation is one of these."""
        return Cat(self._chosen[operation] for operation in operations).any()

    def _at(self, taps: list[Value], times: Mapping[Operation, int]) -> Value:
        """Whether a word is where the operation puts it at that time; never for an operation without one."""
        result: Value = C(0)
        for operation, time in times.items():
            result = result | (self._chosen[operation] & taps[time])
        return result

    def _operands(self, m: Module, taps: list[Value]) -> tuple[data.View, data.View]:
        """Gain or u, and bias, each in a register that keeps it until the next one comes."""
        times = self.times
        gain = Signal(20)
        bias = Signal(20)
        read_gain = Signal()
        read_bias = Signal()
        m.d.comb += [
            read_gain.eq(self._at(taps, times.read_gain)),
            read_bias.eq(self._is(Operation.CENTRE_AND_SCALE) & taps[times.read_bias]),
            self.gated_en.eq(self._is(Operation.GATE) & taps[times.read_gated]),
            self.pm.en.eq(read_gain | read_bias),
            self.pm.address.eq(Mux(read_gain, gain, 0) | Mux(read_bias, bias, 0)),
        ]
        with m.If(self.start):
            m.d.sync += [gain.eq(0), bias.eq(self.bias)]
        with m.Else():
            m.d.sync += [gain.eq(gain + read_gain), bias.eq(bias + read_bias)]

        came_gain = Signal()
        came_bias = Signal()
        came_gated = Signal()
        m.d.sync += [came_gain.eq(read_gain), came_bias.eq(read_bias), came_gated.eq(self.gated_en)]
        second = Signal(self.o.shape(), reset_less=True)
        third = Signal(self.o.shape(), reset_less=True)
        with m.If(came_gain):
            m.d.sync += second.eq(self.pm.data)
        with m.If(came_gated):
            m.d.sync += second.eq(self.x)
        with m.If(came_bias):
            m.d.sync += third.eq(self.pm.data)
        return second, third

    def _first_product(self, m: Module, x: data.View, base: list[Value]) -> tuple[list[Value], Value]:
        rotate, square = self._is(Operation.ROTATE), self._is(Operation.SQUARE, Operation.CENTRE_AND_SQUARE)
        activate = self._is(Operation.ACTIVATE, Operation.GATE)
        left, right = [], []
        for lane in range(self.lanes):
            factor = ActivationFactor(pipeline=self.pipeline)
            m.submodules[f"factor_{lane}"] = factor
            m.d.comb += [factor.kind.eq(self.factor), factor.a.eq(x[lane])]
            waited = delay(m, x[lane], factor.latency, enable=C(1), name=f"waited_{lane}")
            left.append(Mux(activate, waited, base[lane]))
            other = Mux(rotate, self.cosine[lane // 2], Mux(activate, factor.o, self.r))
            right.append(Mux(square, base[lane], other))
        return self._multiply(m, "first", left, right)

    def _second_product(
        self, m: Module, x: data.View, first: list[Value], operand: data.View
    ) -> tuple[list[Value], Value]:
        """Of the first product, or, for the rotation, of the pair's other element."""
        rotate = self._is(Operation.ROTATE)
        left = [Mux(rotate, x[lane ^ 1], first[lane]) for lane in range(self.lanes)]
        right = [Mux(rotate, self.sine[lane // 2], operand[lane]) for lane in range(self.lanes)]
        return self._multiply(m, "second", left, right)

    def _multiply(self, m: Module, name: str, a: list[Value], b: list[Value]) -> tuple[list[Value], Value]:
        results, overflow = [], C(0)
        for lane in range(self.lanes):
            m.submodules[f"{name}_{lane}"] = block = FloatMultiply(multiplier_bits=self.multiplier_bits)
            m.d.comb += [block.en.eq(1), block.a.eq(a[lane]), block.b.eq(b[lane])]
            results.append(block.o)
            overflow = overflow | block.overflow
        return results, overflow

    def _add(self, m: Module, name: str, a: list[Value], b: list[Value], sub: list[Value]) -> tuple[list[Value], Value]:
        results, overflow = [], C(0)
        for lane in range(self.lanes):
            m.submodules[f"{name}_{lane}"] = block = FloatAdd(registers=self.pipeline.add)
            m.d.comb += [block.en.eq(1), block.a.eq(a[lane]), block.b.eq(b[lane]), block.sub.eq(sub[lane])]
            results.append(block.o)
            overflow = overflow | block.overflow
        return results, overflow
