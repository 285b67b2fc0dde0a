"""The arithmetic of the vector unit: V lanes that normalise, rotate and gate with the same multipliers."""

from collections.abc import Mapping
from enum import IntEnum

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic.add import FloatAdd
from ..arithmetic.common import delay, delay_valid
from ..arithmetic.multiply import FloatMultiply
from ..interfaces import FLOAT, Interfaces, read_port
from .gate import ActivationFactor


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


_ADD, _MULTIPLY, _FACTOR = FloatAdd.latency, FloatMultiply.latency, ActivationFactor.latency

# Cycles after a word's scratchpad address: 1 its data, 2 in the register `x`, and what follows.
_X = 2
_CENTRED = _X + _ADD
_FIRST_PRODUCT = {
    Operation.ROTATE: _X + _MULTIPLY,
    Operation.SCALE: _X + _MULTIPLY,
    Operation.SQUARE: _X + _MULTIPLY,
    Operation.CENTRE_AND_SCALE: _CENTRED + _MULTIPLY,
    Operation.CENTRE_AND_SQUARE: _CENTRED + _MULTIPLY,
    Operation.ACTIVATE: _X + _FACTOR + _MULTIPLY,
    Operation.GATE: _X + _FACTOR + _MULTIPLY,
}
_SECOND_PRODUCT = {
    Operation.ROTATE: _X + _MULTIPLY,
    Operation.SCALE: _X + 2 * _MULTIPLY,
    Operation.CENTRE_AND_SCALE: _CENTRED + 2 * _MULTIPLY,
    Operation.GATE: _X + _FACTOR + 2 * _MULTIPLY,
}
_SUM = {
    Operation.ROTATE: _X + _MULTIPLY + _ADD,
    Operation.CENTRE_AND_SCALE: _CENTRED + 2 * _MULTIPLY + _ADD,
}
_RESULT = {
    Operation.COPY: _X,
    Operation.ACTIVATE: _FIRST_PRODUCT[Operation.ACTIVATE],
    Operation.GATE: _SECOND_PRODUCT[Operation.GATE],
    Operation.SCALE: _SECOND_PRODUCT[Operation.SCALE],
    **_SUM,
}
_STATISTIC = {
    Operation.SUM: _X,
    Operation.SQUARE: _FIRST_PRODUCT[Operation.SQUARE],
    Operation.CENTRE_AND_SQUARE: _FIRST_PRODUCT[Operation.CENTRE_AND_SQUARE],
}

# An address goes out two cycles before its operand is used. Where a word needs two reads of one memory, words come
# every other cycle and the second read must fall between them; an operand stays in its register until the next comes.
_READ_GAIN = {op: _SECOND_PRODUCT[op] - _MULTIPLY - 2 for op in (Operation.SCALE, Operation.CENTRE_AND_SCALE)}
_READ_BIAS = _SUM[Operation.CENTRE_AND_SCALE] - _ADD - 2
_READ_BIAS -= (_READ_BIAS - _READ_GAIN[Operation.CENTRE_AND_SCALE] + 1) % 2
_READ_GATED = _SECOND_PRODUCT[Operation.GATE] - _MULTIPLY - 2
_READ_GATED -= (_READ_GATED + 1) % 2


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
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.lanes = interfaces.lanes
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
        # A register for each: what an operation chooses is far away and stands before adders and multipliers.
        self._chosen = Signal(len(Operation))
        m.d.sync += self._chosen.eq(1 << self.operation)
        taps: list[Value] = [self.valid]
        for cycle in range(1, max(_RESULT.values()) + 1):
            taps.append(delay_valid(m, taps[-1], 1, name=f"valid_{cycle}"))
        mask_1 = delay(m, self.mask, 1, enable=C(1), name="mask_1")
        centred_mask = delay(m, mask_1, _CENTRED - 1, enable=C(1), name="mask_centred")
        result_mask = delay(
            m, centred_mask, _SUM[Operation.CENTRE_AND_SCALE] - _CENTRED, enable=C(1), name="mask_result"
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

        statistic, result = self._is(*_STATISTIC), self._is(*_RESULT)
        m.d.sync += [
            self.o_valid.eq(result & self._at(taps, _RESULT)),
            self.o_statistic.eq(statistic & self._at(taps, _STATISTIC)),
            self.overflow.eq(
                (over_centred & taps[_CENTRED] & centring)
                | (over_first & self._at(taps, _FIRST_PRODUCT))
                | (over_second & self._at(taps, _SECOND_PRODUCT))
                | (over_sum & self._at(taps, _SUM))
            ),
        ]
        for lane in range(self.lanes):
            summed = Mux(rotate | result_mask[lane], sums[lane], 0)
            m.d.sync += [
                self.o[lane].eq(
                    Mux(
                        self._is(*_SUM),
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
        gain = Signal(20)
        bias = Signal(20)
        read_gain = Signal()
        read_bias = Signal()
        m.d.comb += [
            read_gain.eq(self._at(taps, _READ_GAIN)),
            read_bias.eq(self._is(Operation.CENTRE_AND_SCALE) & taps[_READ_BIAS]),
            self.gated_en.eq(self._is(Operation.GATE) & taps[_READ_GATED]),
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
            factor = ActivationFactor()
            m.submodules[f"factor_{lane}"] = factor
            m.d.comb += [factor.kind.eq(self.factor), factor.a.eq(x[lane])]
            waited = delay(m, x[lane], _FACTOR, enable=C(1), name=f"waited_{lane}")
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
            m.submodules[f"{name}_{lane}"] = block = FloatAdd()
            m.d.comb += [block.en.eq(1), block.a.eq(a[lane]), block.b.eq(b[lane]), block.sub.eq(sub[lane])]
            results.append(block.o)
            overflow = overflow | block.overflow
        return results, overflow
