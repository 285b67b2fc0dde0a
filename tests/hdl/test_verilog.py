"""What is done to Yosys's Verilog before anybody sees it."""

from celosia.hdl.verilog import TRIGGER, ZERO_MEMORY, _merge_identical, plain

ADDER = "module {name} (a, o);\n  input a;\n  output o;\n  assign o = a;\nendmodule\n\n"
PARENT = (
    "module {name}(a, o);\n"
    "  \\top.x.add_0  add_0 (\n    .a(a)\n  );\n"
    "  {child} \\add_1  (\n    .a(a)\n  );\n"
    "endmodule\n\n"
)


def test_identical_modules_become_one_up_to_their_parents() -> None:
    text = "/* head */\n"
    text += PARENT.format(name="\\top.x ", child="\\top.x.add_1 ") + PARENT.format(
        name="\\top.y ", child="\\top.y.add_1 "
    )
    for name in ("\\top.x.add_0 ", "\\top.x.add_1 ", "\\top.y.add_1 "):
        text += ADDER.format(name=name)
    merged = _merge_identical(text)
    assert merged.startswith("/* head */\n")
    assert merged.count("endmodule") == 2
    assert "\\top.x.add_0  add_0 (" in merged
    assert "\\top.x.add_0  \\add_1  (" in merged
    assert "top.y" not in merged


def test_modules_that_differ_stay() -> None:
    text = ADDER.format(name="\\a ") + ADDER.format(name="\\b ").replace("= a", "= ~a")
    assert _merge_identical(text) == text


def test_only_memories_of_zeros_lose_their_contents() -> None:
    zeros = "  initial begin\n    mem[0] = 8'h00;\n    mem[1] = 8'h00;\n  end\n"
    table = "  initial begin\n    rom[0] = 8'h00;\n    rom[1] = 8'h01;\n  end\n"
    assert ZERO_MEMORY.sub("", zeros + table) == table


def test_names_that_tools_misread_are_renamed() -> None:
    assert plain("wire \\q[3] ; assign \\a[1].b[2] = q[3];") == "wire \\q.3 ; assign \\a.1.b.2 = q[3];"


def test_signals_without_bits_are_dropped() -> None:
    assert plain("  wire [1:0] a;\n  wire [-1:0] b;\n  wire c;\n") == "  wire [1:0] a;\n  wire c;\n"
    trigger = "  if (\\$auto$verilog_backend.cc:2355:dump_module$126 ) begin end"
    assert TRIGGER.sub("initial_trigger ", trigger) == "  if (initial_trigger ) begin end"
