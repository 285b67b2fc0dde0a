"""The program for people."""

from ...arch.isa import Flag, Geometry, Instruction, Opcode
from .compiled import CompiledModel, Note

SPM_SOURCES = (Opcode.NORM, Opcode.QUANTIZE, Opcode.QUERY, Opcode.APPEND)
"""Instructions whose src is a scratchpad address; that of MATMUL and ATTEND is one of the activation memory."""


def listing(compiled: CompiledModel) -> str:
    """Header, memory map, and one line per instruction."""
    model, config = compiled.model, compiled.config
    head = [
        f"; {model.name} on config {config.name}: {len(compiled.program)} instructions, "
        f"{compiled.program_bytes} bytes, {model.n_layers} layers",
        f"; image {compiled.memory.image_bytes:,} bytes, {compiled.streamed_bytes:,} bytes streamed per decode step, "
        f"context {compiled.context}",
        *(f"; {line}" for line in str(compiled.memory).splitlines()),
        ";",
    ]
    lines, indent = [], ""
    for index, (instruction, note) in enumerate(zip(compiled.program, compiled.notes, strict=True)):
        if instruction.opcode == Opcode.NEXT:
            indent = ""
        text = f"{index:3}  {indent}{instruction.opcode.name:<11}{_operands(compiled, instruction, note)}"
        lines.append(text.rstrip())
        if instruction.opcode == Opcode.LOOP:
            indent = "  "
    return "\n".join([*head, *lines]) + "\n"


def _operands(compiled: CompiledModel, instruction: Instruction, note: Note) -> str:
    i = instruction
    parts: list[str] = []
    if i.opcode == Opcode.LOOP:
        parts.append(f"layers {i.k} to {i.n - 1}" if i.k or i.n < compiled.model.n_layers else f"{i.n} times")
    elif i.opcode == Opcode.NEXT:
        parts.append(f"to {i.src}")
    elif i.opcode == Opcode.APPEND:
        parts.append(f"kv_cache <- {note.reads[0]}@SPM[{i.src}], {note.reads[1]}@SPM[{i.dst}]")
    elif note.writes:
        target = f"{note.writes}@{note.memory}[{i.dst}]" if note.memory else note.writes
        parts.append(f"{target} <- {_sources(i, note)}".rstrip(" <-"))
    if i.opcode in (Opcode.QUERY, Opcode.APPEND, Opcode.ATTEND):
        g = Geometry.decode(i.aux)
        parts.append(f"{g.kv_heads} heads of {g.head_blocks} blocks, {g.rows_per_token} rows a token")
    if i.opcode in (Opcode.NORM, Opcode.QUANTIZE):
        parts.append(f"{i.n} elements in {i.k} blocks")
    if i.opcode == Opcode.ATTEND:
        parts.append(f"{i.k} row groups a pass")
    if note.operand:
        parts.append(_stream(compiled, note.operand))
    if i.flags:
        parts.append(" ".join(flag.name or "" for flag in Flag if flag in i.flags))
    return "; ".join(parts)


def _sources(i: Instruction, note: Note) -> str:
    memory = "SPM" if i.opcode in SPM_SOURCES else "AM"
    addresses = [i.src, i.aux if i.opcode == Opcode.QUANTIZE else i.dst]
    names = [f"{name}@{memory if n == 0 else 'SPM'}[{addresses[n]}]" for n, name in enumerate(note.reads)]
    return ", ".join(names)


def _stream(compiled: CompiledModel, name: str) -> str:
    place = compiled.memory.placements[name]
    operand = place.operand
    shape = (
        f"{operand.format} {operand.n} x {operand.k * 32}"
        if operand.kind == "matrix"
        else f"{operand.n} {operand.kind}"
    )
    where = f"{place.base:#x}" + (f" + layer * {place.stride:#x}" if place.stride else "")
    return f"{name} ({shape}, {place.bytes:,} bytes at {where})"
