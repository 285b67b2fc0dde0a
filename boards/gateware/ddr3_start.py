"""What a DDR3 chip wants after power-up, and how its reads are found: what LiteX has a processor for."""

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ddr3_chip import (
    ACTIVATE_NS,
    BANK_BITS,
    BURST,
    DATA_BITS,
    LANES,
    LATENCY,
    MODES,
    PHASES,
    PRECHARGE_NS,
    REFRESH_NS,
    ROW_BITS,
    WRITTEN_NS,
    cycles,
)
from .ddr3_windows import DELAYS, SETTING, SLIPS, ReadWindows

POWER_UP_US = 700
"""Without its clock enabled: 200 us of reset, which the board does, and 500 us behind it."""
ENABLED_NS = REFRESH_NS + 10
"""From its clock enabled to the first command."""
MODE_CYCLES, CALIBRATION_CYCLES = 12, 512
"""Of its clock: from a mode to another command, and for the calibration of its drivers."""
READ_CYCLES = 20
"""Of our clock: longer than a read takes through the PHY."""

PRECHARGE, REFRESH, MODE, ACTIVATE, WRITE, READ, CALIBRATE = 0b101, 0b011, 0b111, 0b001, 0b110, 0b010, 0b100
"""Commands by what they assert: bit 0 RAS, 1 CAS, 2 WE."""
ALL_BANKS, LONG = 1 << 10, 1 << 10
"""Address bits of a precharge and of a calibration."""

PATTERNS = (
    0x5A17_F00F_C3A5_0F96_3C69_E178_871E_2DD2,
    0xA5E8_0FF0_3C5A_F069_C396_1E87_78E1_D22D,
    0xFFFF_0000_FFFF_0000_FFFF_0000_FFFF_0000,
    0x8040_2010_0804_0201_7FBF_DFEF_F7FB_FDFE,
)
"""What is written and read to judge a setting: bursts, first word lowest."""

CHANGES = ("delay_reset", "delay_next", "slip_reset", "slip_next")
"""Of settings."""
ADJUST_CYCLES, PULSE_AT, PAUSED_FROM = 16, 11, 8
"""Of our clock: for a change of a setting; when in this, counted down, it comes; how long the lane's strobe is held."""


class Ddr3Start(wiring.Component):
    """Starts the chip, once after reset, writes `PATTERNS` into it and reads them with every setting of the PHY.

    A setting is good for a lane if all bursts come right and the PHY has seen their strobes. `ReadWindows` chooses the
    best of them, with which it reads once more; `failed` says that there was none, or that this went wrong.

    It takes 700 us and some 7,900 cycles.

    Parameters
    ----------
    clock_hz : float
        Half the chip's.

    Members
    -------
    command : Out(3), as `PRECHARGE`, in phase 0 but reads, in `read_phase`; 0 for none. address, bank : Out
    enable : Out(1), of the chip's clock
    data : Out(128), stands long enough; seen : In(128), with seen_valid : In(1)
    select : Out(2), lanes; delay_reset, delay_next, slip_reset, slip_next, burst_clear : Out(1), pulses for them
    burst_seen : In(2), of each lane since the last `burst_clear`
    read_phase : Out(1)
    done : Out(1), from then on the chip is the controller's; failed : Out(1), there is no chip that could be read
    """

    def __init__(self, *, clock_hz: float) -> None:
        self.clock_hz = clock_hz
        burst = DATA_BITS * BURST
        super().__init__(
            {
                "command": Out(3),
                "address": Out(ROW_BITS),
                "bank": Out(BANK_BITS),
                "enable": Out(1),
                "data": Out(burst),
                "seen": In(burst),
                "seen_valid": In(1),
                "select": Out(LANES),
                "delay_reset": Out(1),
                "delay_next": Out(1),
                "slip_reset": Out(1),
                "slip_next": Out(1),
                "burst_clear": Out(1),
                "burst_seen": In(LANES),
                "read_phase": Out(1),
                "done": Out(1),
                "failed": Out(1),
            }
        )

    def _cycles(self, nanoseconds: float, chip_cycles: int = 0) -> int:
        return max(cycles(nanoseconds, self.clock_hz), -(-chip_cycles // PHASES))

    def _steps(self) -> tuple[list[tuple[int, int, int, int]], int]:
        """Commands with bank, address and cycles to the next one, and the first of those that judge a setting."""
        last_word = LATENCY + BURST // 2
        opened = (ACTIVATE, 0, 0, self._cycles(ACTIVATE_NS))
        # In a step of its own: a row must not be open for longer than some refreshes.
        closed = [
            (PRECHARGE, 0, ALL_BANKS, self._cycles(PRECHARGE_NS)),
            (REFRESH, 0, 0, self._cycles(REFRESH_NS)),
        ]
        written = self._cycles(WRITTEN_NS) + last_word // PHASES
        columns = [BURST * number for number in range(len(PATTERNS))]
        begin = [
            *((MODE, register, value, MODE_CYCLES // PHASES) for register, value in MODES),
            (CALIBRATE, 0, LONG, CALIBRATION_CYCLES // PHASES),
            opened,
            *((WRITE, 0, column, written) for column in columns),
            *closed,
        ]
        judge = [opened, *((READ, 0, column, READ_CYCLES) for column in columns), *closed]
        return begin + judge, len(begin)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps, judging = self._steps()
        power_up = self._cycles(1000 * POWER_UP_US)
        timer = Signal(range(power_up + 1), init=power_up)
        step = Signal(range(len(steps) + 1))
        # Of the change of a setting that is under way: for which lanes, and what.
        lanes, change = Signal(LANES), Signal(len(CHANGES))
        m.d.comb += [getattr(self, name).eq(change[bit] & (timer == PULSE_AT)) for bit, name in enumerate(CHANGES)]
        with m.If(timer >= PAUSED_FROM):
            m.d.comb += self.select.eq(lanes)

        def adjust(which: int | Value, *names: str) -> None:
            value = sum(1 << CHANGES.index(name) for name in names)
            m.d.sync += [lanes.eq(which), change.eq(value), timer.eq(ADJUST_CYCLES - 1)]

        def issue() -> None:
            """The step's command, and on to the next one; no setting changes."""
            m.d.sync += [lanes.eq(0), step.eq(step + 1)]
            with m.Switch(step):
                for number, (command, bank, address, wait) in enumerate(steps):
                    with m.Case(number):
                        m.d.comb += [self.command.eq(command), self.bank.eq(bank), self.address.eq(address)]
                        m.d.sync += timer.eq(wait - 1)
                        if command == WRITE:
                            m.d.sync += self.data.eq(PATTERNS[address // BURST])

        good = self._judge(m, step == judging)
        m.submodules.windows = windows = ReadWindows()
        setting, lane = Signal(SETTING), Signal(range(LANES))
        left = Array(Signal(SETTING, name=f"left_{lane}") for lane in range(LANES))
        m.d.comb += [windows.setting.eq(setting), windows.good.eq(good), windows.phase.eq(self.read_phase)]
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            with m.FSM(name="start"):
                with m.State("Power Up"):
                    m.d.sync += [self.enable.eq(1), timer.eq(self._cycles(ENABLED_NS))]
                    m.next = "Begin"
                with m.State("Begin"):
                    with m.If(step == judging):
                        m.next = "Reset Settings"
                    with m.Else():
                        issue()
                with m.State("Reset Settings"):
                    adjust(~0, "delay_reset", "slip_reset")
                    m.next = "Try"
                with m.State("Try"):
                    with m.If(step == len(steps)):
                        m.d.sync += step.eq(judging)
                        m.next = "Note"
                    with m.Else():
                        issue()
                with m.State("Note"):
                    m.d.comb += windows.note.eq(1)
                    m.d.sync += setting.delay.eq(setting.delay + 1)
                    m.next = "Try"
                    with m.If(setting.delay != DELAYS - 1):
                        adjust(~0, "delay_next")
                    with m.Else():
                        adjust(~0, "delay_reset", "slip_next")
                        m.d.sync += setting.slip.eq(setting.slip + 1)
                        with m.If(setting.slip == SLIPS - 1):
                            m.next = "Compare"
                with m.State("Compare"):
                    m.d.comb += windows.compare.eq(1)
                    m.d.sync += self.read_phase.eq(1)
                    m.next = "Reset Settings"
                    with m.If(self.read_phase):
                        m.next = "Choose"
                with m.State("Choose"):
                    m.d.sync += self.read_phase.eq(windows.chosen_phase)
                    m.d.sync += [waits.eq(chosen) for waits, chosen in zip(left, windows.chosen, strict=True)]
                    adjust(~0, "delay_reset", "slip_reset")
                    m.next = "Set Lane"
                with m.State("Set Lane"):
                    with m.If(left[lane].slip != 0):
                        m.d.sync += left[lane].slip.eq(left[lane].slip - 1)
                        adjust(1 << lane, "slip_next")
                    with m.Elif(left[lane].delay != 0):
                        m.d.sync += left[lane].delay.eq(left[lane].delay - 1)
                        adjust(1 << lane, "delay_next")
                    with m.Elif(lane != LANES - 1):
                        m.d.sync += lane.eq(lane + 1)
                    with m.Else():
                        # All strobes are held once more, together, as LiteX does it.
                        adjust(~0)
                        m.next = "Try Again"
                with m.State("Try Again"):
                    with m.If(step == len(steps)):
                        m.next = "Fail"
                        with m.If(good.all() & windows.found):
                            m.next = "Succeed"
                    with m.Else():
                        issue()
                with m.State("Succeed"):
                    m.d.sync += self.done.eq(1)
                with m.State("Fail"):
                    m.d.sync += self.failed.eq(1)
        return m

    def _judge(self, m: Module, begins: Value) -> Value:
        """Which lanes have read all patterns right since `begins`, a bit each."""
        seen, came = Signal.like(self.seen), Signal()
        number, right = Signal(range(len(PATTERNS))), Signal(LANES)
        pattern = Array(PATTERNS)[number]
        m.d.comb += self.burst_clear.eq(begins)
        # A register, since what comes from the pads comes from afar.
        m.d.sync += [seen.eq(self.seen), came.eq(self.seen_valid)]
        with m.If(begins):
            m.d.sync += [number.eq(0), right.eq(~0)]
        with m.Elif(came):
            m.d.sync += number.eq(number + 1)
            for lane in range(LANES):
                wrong = [
                    seen.word_select(word * LANES + lane, 8) != pattern.word_select(word * LANES + lane, 8)
                    for word in range(BURST)
                ]
                with m.If(Cat(*wrong).any()):
                    m.d.sync += right[lane].eq(0)
        return right & self.burst_seen
