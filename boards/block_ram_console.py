"""The console of a board with all memory in block RAM."""

from collections.abc import Sequence

from ..arch.config import AcceleratorConfig
from .boot import list_offset
from .gateware.block_memory import BlockMemory
from .gateware.system import ConsoleSystem


def block_ram_console(config: AcceleratorConfig, contents: Sequence[int]) -> ConsoleSystem:
    """Accelerator, memory and console; `contents`: of the block RAM behind the accelerator's bus, a word an entry."""
    bus = config.bus
    memory = BlockMemory(contents=contents, data_bits=bus.data_bits, address_bits=bus.address_bits)
    boot_list = list_offset(config, len(contents) * bus.data_bits // 8)
    return ConsoleSystem(config, memory=memory, boot_list=boot_list)
