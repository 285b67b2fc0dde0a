"""What derives from the register map for others: C header, HTML and Markdown (PeakRDL exporters)."""

import shutil
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_html import HTMLExporter
from peakrdl_markdown import MarkdownExporter

from .registers import RDL_FILE, compile_rdl


def write_rdl(path: Path) -> None:
    """The SystemRDL source."""
    shutil.copyfile(RDL_FILE, path)


def write_c_header(path: Path) -> None:
    """Offsets, masks and a struct for C."""
    CHeaderExporter().export(compile_rdl(), str(path))


def write_markdown(path: Path) -> None:
    """Register documentation for reading in a terminal or a repository."""
    MarkdownExporter().export(compile_rdl(), str(path))


def write_html(folder: Path) -> None:
    """Register documentation for a browser: a folder with an index.html."""
    HTMLExporter().export(compile_rdl(), str(folder))
