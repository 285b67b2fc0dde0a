"""From a MATMUL instruction to micro-ops."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import INTERLEAVE
from ...arch.formats import BLOCK
from ..interfaces import COMMAND, Interfaces, ResultKind


class MatmulSequencer(wiring.Component):
    """Walks the tiles of a MATMUL in the order of the stream: superblock, block, group; then a tile's row groups.

    One micro-op a cycle from the second cycle after `start` on, for rows = 1 to T. `n` and `k` are at least 1.

    Parameters
    ----------
    interfaces : Interfaces

    Members
    -------
    start : In(1)
    command : In(COMMAND), constant from `start` until the next
    rows : In, activation rows to compute, constant likewise
    o : Out(stream.Signature(micro_op))
    active : Out(1), micro-ops are still to come; ends : Out(1), the last one is transferred in this cycle
    macs : Out, useful multiply-accumulates of the micro-op transferred in this cycle (rows x C x 32), otherwise 0
    clear : In(1), back to idle
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        super().__init__(
            {
                "start": In(1),
                "command": In(COMMAND),
                "rows": In(6),
                "o": Out(stream.Signature(interfaces.micro_op)),
                "active": Out(1),
                "ends": Out(1),
                "macs": Out(range(interfaces.derived.macs + 1)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        interfaces, instruction = self.interfaces, self.command.instruction

        channel_bits = interfaces.channels.bit_length() - 1
        lane_bits = INTERLEAVE.bit_length() - 1

        last_group = Signal(20)
        group = Signal(20)
        block = Signal(12)
        last_block = Signal(12)
        row_group = Signal(6)
        rows_left = Signal(6)
        address = Signal(20)
        block_address = Signal(20)
        accumulator = Signal(interfaces.accumulator)
        superblock = Signal(20 - lane_bits)

        ends_rows = Signal()
        ends_groups = Signal()
        ends_blocks = Signal()
        ends_all = Signal()
        op = self.o.payload
        m.d.comb += [
            ends_rows.eq(rows_left <= interfaces.rows),
            ends_groups.eq(ends_rows & ((group[:lane_bits] == INTERLEAVE - 1) | (group == last_group))),
            ends_blocks.eq(ends_groups & (block == last_block)),
            ends_all.eq(ends_blocks & (group == last_group)),
            self.o.valid.eq(self.active),
            op.take_tile.eq(row_group == 0),
            op.address.eq(address),
            op.accumulator.eq(accumulator),
            op.first.eq(block == 0),
            op.last.eq(block == last_block),
            op.tag.kind.eq(ResultKind.MATMUL),
            op.tag.row_group.eq(row_group),
            op.tag.group.eq(group),
            op.tag.end.eq(ends_all),
        ]
        transfer = Signal()
        useful = Mux(ends_rows, rows_left, interfaces.rows)
        m.d.comb += [
            transfer.eq(self.o.valid & self.o.ready),
            self.ends.eq(transfer & ends_all),
            op.chunk.eq(self.command.chunk),
        ]
        with m.If(transfer):
            m.d.comb += self.macs.eq(useful << (channel_bits + BLOCK.bit_length() - 1))

        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                last_block.eq(instruction.k - 1),
                last_group.eq((instruction.n - 1)[:20] >> channel_bits),
                *(counter.eq(0) for counter in (group, superblock, block, row_group, accumulator)),
                rows_left.eq(self.rows),
                address.eq(instruction.src),
                block_address.eq(instruction.src),
            ]
        with m.Elif(transfer):
            m.d.sync += [
                row_group.eq(row_group + 1),
                rows_left.eq(rows_left - interfaces.rows),
                address.eq(address + instruction.k),
                accumulator.eq(accumulator + 1),
            ]
            with m.If(ends_rows):
                m.d.sync += [row_group.eq(0), rows_left.eq(self.rows), group.eq(group + 1), address.eq(block_address)]
            with m.If(ends_groups):
                m.d.sync += [
                    group.eq(superblock << lane_bits),
                    accumulator.eq(0),
                    block.eq(block + 1),
                    address.eq(block_address + 1),
                    block_address.eq(block_address + 1),
                ]
            with m.If(ends_blocks):
                m.d.sync += [
                    group.eq((superblock + 1) << lane_bits),
                    superblock.eq(superblock + 1),
                    block.eq(0),
                    address.eq(instruction.src),
                    block_address.eq(instruction.src),
                ]
            with m.If(ends_all):
                m.d.sync += self.active.eq(0)
        with m.If(self.clear):
            m.d.sync += self.active.eq(0)
        return m
