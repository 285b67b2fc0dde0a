"""A mapped register is read and written by one instruction of 32 bits: a second read would advance TOKEN_DATA."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, which an access beyond the page ends. The last word of a page: nothing longer fits.
PROGRAM = """
import ctypes
import os
import sys
from pathlib import Path

from celosia.boards.host.files import KernelFiles

library = ctypes.CDLL(sys.argv[1])
files = KernelFiles(Path(sys.argv[2]))
fd = files.open("registers", os.O_RDWR)
words = files.words(fd, 8192, 0, 4088)
start = ctypes.addressof(ctypes.c_char.from_buffer(words)) - 4088
library.watch(ctypes.c_void_p(start))
read = words[1]
reading = library.counted()
words[1] = 0x89ABCDEF
writing = library.counted()
print(f"{read:#x} {reading:#x} {writing:#x}")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions are counted with a flag of x86")
def test_one_instruction_an_access(tmp_path: Path) -> None:
    library, registers = tmp_path / "accesses.so", tmp_path / "registers"
    source = Path(__file__).with_name("accesses.c")
    compiler = ["g++", "-x", "c", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(compiler, check=True, timeout=60)
    registers.write_bytes(bytes(4092) + (0x12345678).to_bytes(4, "little") + bytes(4096))
    command = [sys.executable, "-c", PROGRAM, str(library), str(tmp_path)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout == "0x12345678 0x10000 0x1\n"
    assert registers.read_bytes()[4092:4096] == (0x89ABCDEF).to_bytes(4, "little")
