"""The RTL: every unit a parameterized Amaranth component."""
