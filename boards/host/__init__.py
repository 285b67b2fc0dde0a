"""Linux on the other side of an accelerator: a `Device` over device files, on a Zynq or through PCI Express."""
