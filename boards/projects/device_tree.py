"""What Linux on a Zynq is told of an accelerator: a device tree overlay for the start."""

from .address_map import AddressMap

CLOCK_ID = 71
"""Of pl_clk0, as the firmware numbers clocks."""

LEVEL_HIGH = 4


def overlay(addresses: AddressMap, clock_hz: int) -> str:
    """The overlay's source. Memory is reserved when the kernel starts: it must be there by then."""
    (memory,) = addresses.memory
    registers = addresses.registers
    # Nothing else may take the clock for unused, or have left the ports at another width than the design's.
    return f"""\
/dts-v1/;
/plugin/;

&{{/}} {{
	reserved-memory {{
		#address-cells = <2>;
		#size-cells = <2>;
		ranges;
		celosia_reserved: celosia@{memory.address:x} {{
			compatible = "shared-dma-pool";
			reusable;
			reg = <{_cells(memory.address)} {_cells(memory.bytes)}>;
		}};
	}};

	celosia_clock: celosia-clock {{
		compatible = "xlnx,fclk";
		#clock-cells = <0>;
		clocks = <&zynqmp_clk {CLOCK_ID}>;
		assigned-clocks = <&zynqmp_clk {CLOCK_ID}>;
		assigned-clock-rates = <{clock_hz}>;
		clock-output-names = "celosia_clock";
	}};

	/* Master ports 0 and 1 of the processor, and its memory ports, 128 bits wide. */
	celosia_ports: celosia-ports {{
		compatible = "xlnx,afi-fpga";
		config-afi = <0 0>, <1 0>, <2 0>, <3 0>, <4 0>, <5 0>, <6 0>, <7 0>, <8 0>, <9 0>, <10 0>, <11 0>,
			<12 0>, <13 0>, <14 0xa00>, <15 0>;
	}};

	celosia_registers: celosia@{registers.address:x} {{
		compatible = "generic-uio";
		linux,uio-name = "{addresses.names["registers"]}";
		reg = <{_cells(registers.address)} {_cells(registers.bytes)}>;
		interrupt-parent = <&gic>;
		interrupts = <0 {addresses.interrupt} {LEVEL_HIGH}>;
	}};

	celosia_memory: celosia-memory {{
		compatible = "ikwzm,u-dma-buf";
		device-name = "{addresses.names["memory"]}";
		size = <{memory.bytes:#x}>;
		memory-region = <&celosia_reserved>;
	}};
}};
"""


def _cells(value: int) -> str:
    """64 bits as two cells."""
    return f"{value >> 32:#x} {value & 0xFFFFFFFF:#x}"
