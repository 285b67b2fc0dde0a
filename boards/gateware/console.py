"""A prompt on a serial line in, the text that an accelerator makes of it out: all that a host does, without one."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ...arch.registers import offsets
from ...driver.registers import ABORT, START
from ...hdl.axi import axi4_lite
from ...hdl.common import address_bits
from ..boot import CONTEXT, SEND
from .decimal import DecimalPrinter
from .loader import SETTING
from .register_master import RegisterMaster

TEXTS = {
    "prompt": b"\r\n> ",
    "erase": b"\b \b",
    "count": b"\r\n[",
    "rate": b" tokens, ",
    "end": b" tokens/s]",
    "error": b"\r\nerror ",
}
"""What the console says on its own."""

ENTER = (ord("\r"), ord("\n"))
ERASE = (ord("\b"), 0x7F)
SPACE = ord(" ")
TOKENS_BITS, RATIO_BITS = 20, 48
OFFSETS = offsets()


RETURNS = (
    "Load Settings",
    "Clear Prompt",
    "Listen",
    "Echo Key",
    "Erase Character",
    "Start Job",
    "Ask Status",
    "Ask Number",
    "Look For Tokens",
    "Ask Token",
    "Show Token",
    "Say How Many",
    "Say Tokens",
    "Say Rate",
    "Say End",
    "Greet",
    "Say Code",
)
"""States that go on behind one that serves several."""


class Console(wiring.Component):
    """After reset writes the settings that `i_settings` brings; then, over and over: shows `> `, echoes a line while it
    becomes the prompt, lets the accelerator continue it until its end-of-text token or until the context is full, sends
    every byte as it is sampled, and says how many there were and how many a second, or which error ended it.

    Enter (CR or LF) ends the prompt, backspace and delete take back a byte, other control characters are ignored. A key
    that is pressed meanwhile ends the answer. Every line is a text of its own, from position 0. The rate is that of the
    device: sampled tokens but the first, over the time from the first to the last.

    Each register access takes some eight cycles and each byte shown four of them and its time on the line; the
    accelerator waits for neither.

    Parameters
    ----------
    clock_hz : int
        Of the clock, for the rate.
    address_bits : int
        Of the register port.

    Members
    -------
    i_settings : In(stream.Signature(SETTING)); loading : In(1), there may be more of them
    i : In(stream.Signature(8)), keys; o : Out(stream.Signature(8)), what is shown
    bus : Out(axi4_lite), the accelerator's registers
    busy : Out(1), it works on an answer; failed : Out(1), the last one ended with an error
    """

    def __init__(self, *, clock_hz: int, address_bits: int) -> None:
        self.clock_hz, self.address_bits = clock_hz, address_bits
        super().__init__(
            {
                "i_settings": In(stream.Signature(SETTING)),
                "loading": In(1),
                "i": In(stream.Signature(unsigned(8))),
                "o": Out(stream.Signature(unsigned(8))),
                "bus": Out(axi4_lite(address_bits=address_bits)),
                "busy": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = self._registers = RegisterMaster(address_bits=self.address_bits)
        m.submodules.decimal = self._decimal = DecimalPrinter(bits=RATIO_BITS)
        wiring.connect(m, self._registers.bus, wiring.flipped(self.bus))
        self._access = Signal.like(self._registers.i.payload)
        self._after = Signal(range(len(RETURNS)))
        self._byte = Signal(8)
        self._count = Signal(TOKENS_BITS)
        self._context = Signal(TOKENS_BITS)
        self._shown = Signal(TOKENS_BITS)
        self._status = Signal(32)
        self._first = Signal(32)
        self._elapsed = Signal(32)
        self._scaled = Signal(RATIO_BITS)
        m.d.comb += self._registers.i.payload.eq(self._access)
        with m.FSM(name="console"):
            self._services(m)
            self._prompt(m)
            self._answer(m)
            self._report(m)
        return m

    # Services: a register access, a byte, a text, a number; each goes on at `after`.

    def _write(self, m: Module, register: str, value: object, after: str) -> None:
        self._begin(m, 1, OFFSETS[register], value, after)

    def _ask(self, m: Module, register: str, after: str) -> None:
        self._begin(m, 0, OFFSETS[register], 0, after)

    def _begin(self, m: Module, write: int, address: object, value: object, after: str) -> None:
        access = self._access
        m.d.sync += [
            access.write.eq(write),
            access.address.eq(address),
            access.value.eq(value),
            self._after.eq(RETURNS.index(after)),
        ]
        m.next = "Access Register"

    def _send(self, m: Module, byte: object, after: str) -> None:
        m.d.sync += [self._byte.eq(byte), self._after.eq(RETURNS.index(after))]
        m.next = "Send Byte"

    def _say(self, m: Module, text: str, after: str) -> None:
        m.d.sync += [self._at.eq(self._starts[text]), self._after.eq(RETURNS.index(after))]
        m.next = "Fetch Character"

    def _go_on(self, m: Module) -> None:
        with m.Switch(self._after):
            for index, state in enumerate(RETURNS):
                with m.Case(index):
                    m.next = state

    def _services(self, m: Module) -> None:
        rom = b"".join(text + b"\0" for text in TEXTS.values())
        self._starts = {name: rom.index(text + b"\0") for name, text in TEXTS.items()}
        m.submodules.texts = texts = memory.Memory(shape=unsigned(8), depth=len(rom), init=list(rom))
        character = texts.read_port(domain="comb")
        self._at = Signal(address_bits(len(rom)))
        m.d.comb += character.addr.eq(self._at)
        with m.State("Load Settings"):
            setting = self.i_settings.payload
            with m.If(self.i_settings.valid):
                m.d.comb += self.i_settings.ready.eq(1)
                with m.Switch(setting.register):
                    with m.Case(SEND):
                        self._send(m, setting.value[:8], "Load Settings")
                    with m.Case(CONTEXT):
                        m.d.sync += self._context.eq(setting.value)
                    with m.Default():
                        self._begin(m, 1, setting.register, setting.value, "Load Settings")
            with m.Elif(~self.loading):
                m.next = "Greet"
        with m.State("Access Register"):
            m.d.comb += self._registers.i.valid.eq(1)
            with m.If(self._registers.i.ready):
                m.next = "Wait For Register"
        with m.State("Wait For Register"):
            with m.If(self._registers.done):
                self._go_on(m)
        with m.State("Send Byte"):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self._byte)]
            with m.If(self.o.ready):
                self._go_on(m)
        with m.State("Fetch Character"):
            m.d.sync += self._byte.eq(character.data)
            m.next = "Say Character"
        with m.State("Say Character"):
            with m.If(self._byte == 0):
                self._go_on(m)
            with m.Else():
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self._byte)]
                with m.If(self.o.ready):
                    m.d.sync += self._at.eq(self._at + 1)
                    m.next = "Fetch Character"
        with m.State("Say Number"):
            digits = self._decimal.o
            m.d.comb += [
                self.o.valid.eq(digits.valid),
                self.o.payload.eq(digits.payload),
                digits.ready.eq(self.o.ready),
            ]
            with m.If(~self._decimal.busy):
                self._go_on(m)

    def _print(self, m: Module, numerator: object, denominator: object, after: str) -> None:
        ratio = self._decimal.i
        m.d.comb += [
            ratio.valid.eq(1),
            ratio.payload.numerator.eq(numerator),
            ratio.payload.denominator.eq(denominator),
        ]
        m.d.sync += self._after.eq(RETURNS.index(after))
        m.next = "Say Number"

    def _prompt(self, m: Module) -> None:
        """A line of keys becomes tokens, one by one as they come; the token index stays behind the last of them."""
        key, count = self.i.payload, self._count
        with m.State("Greet"):
            m.d.sync += [self.busy.eq(0), count.eq(0)]
            self._say(m, "prompt", "Clear Prompt")
        with m.State("Clear Prompt"):
            self._write(m, "TOKEN_INDEX", count, "Listen")
        with m.State("Listen"):
            m.d.comb += self.i.ready.eq(1)
            m.d.sync += self._byte.eq(key)
            with m.If(self.i.valid):
                with m.Switch(key):
                    with m.Case(*ENTER):
                        with m.If(count != 0):
                            m.next = "Start Job"
                    with m.Case(*ERASE):
                        with m.If(count != 0):
                            m.d.sync += count.eq(count - 1)
                            self._write(m, "TOKEN_INDEX", count - 1, "Erase Character")
                    with m.Default():
                        with m.If((key >= SPACE) & (count < self._context)):
                            m.d.sync += count.eq(count + 1)
                            self._write(m, "TOKEN_DATA", key, "Echo Key")
        with m.State("Echo Key"):
            self._send(m, self._byte, "Listen")
        with m.State("Erase Character"):
            self._say(m, "erase", "Listen")

    def _answer(self, m: Module) -> None:
        """The accelerator decodes on its own; tokens are read as they come, until the job is over and all are shown."""
        step = Signal(2)
        done, value = self._status[1], self._registers.value
        steps = ("COUNT", self._count), ("STEPS", self._context + 1 - self._count), ("CONTROL", START)
        with m.State("Start Job"):
            m.d.sync += self.busy.eq(1)
            m.d.sync += [step.eq(step + 1), self._shown.eq(0), self._scaled.eq(0), self._elapsed.eq(0)]
            with m.Switch(step):
                for index, (register, what) in enumerate(steps):
                    with m.Case(index):
                        self._write(m, register, what, "Start Job")
                with m.Default():
                    m.d.sync += step.eq(0)
                    m.next = "Ask Status"
        with m.State("Ask Status"):
            # The status before the number of tokens: where it says that the job is over, the number is the last.
            self._ask(m, "STATUS", "Ask Number")
        with m.State("Ask Number"):
            m.d.sync += self._status.eq(value)
            self._ask(m, "SAMPLED", "Look For Tokens")
        with m.State("Look For Tokens"):
            with m.If(self._shown != value):
                self._ask(m, "TOKEN_CYCLE", "Ask Token")
            with m.Elif(done):
                m.next = "Over"
            with m.Elif(self.i.valid):
                m.d.comb += self.i.ready.eq(1)
                self._write(m, "CONTROL", ABORT, "Ask Status")
            with m.Else():
                m.next = "Ask Status"
        with m.State("Ask Token"):
            with m.If(self._shown == 0):
                m.d.sync += self._first.eq(value)
            with m.Else():
                m.d.sync += [self._elapsed.eq(value - self._first), self._scaled.eq(self._scaled + self.clock_hz)]
            m.d.sync += self._shown.eq(self._shown + 1)
            self._ask(m, "TOKEN_DATA", "Show Token")
        with m.State("Show Token"):
            # A control token is no text, and the end of one is token 0 where it is one of the bytes.
            with m.If((value[8:] == 0) & (value[:8] != 0)):
                self._send(m, value[:8], "Ask Status")
            with m.Else():
                m.next = "Ask Status"

    def _report(self, m: Module) -> None:
        error = self._status[8:16]
        with m.State("Over"):
            m.d.sync += self.failed.eq(error != 0)
            with m.If(error != 0):
                self._say(m, "error", "Say Code")
            with m.Else():
                self._say(m, "count", "Say How Many")
        with m.State("Say Code"):
            self._print(m, error, 1, "Greet")
        with m.State("Say How Many"):
            self._print(m, self._shown, 1, "Say Tokens")
        with m.State("Say Tokens"):
            self._say(m, "rate", "Say Rate")
        with m.State("Say Rate"):
            # Of a single token there is no time: 0 of 1.
            self._print(m, self._scaled, Mux(self._elapsed == 0, 1, self._elapsed), "Say End")
        with m.State("Say End"):
            self._say(m, "end", "Greet")
