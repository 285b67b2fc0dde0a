"""From a model and a config to a program, a packed image and a memory map: passes over a plain data structure."""

from .compile import Plan, compile_model, default_context, plan
from .compiled import COMPILED_FILES, CompiledModel, CompiledProgram, Note, check_folder, write_folder
from .errors import FitError, Misfit
from .geometry import ModelGeometry
from .product import CompiledProduct, compile_product
from .weights import AUTO, FormatPlan, choose_formats, quantize_model, uniform_formats

__all__ = [
    "AUTO",
    "COMPILED_FILES",
    "CompiledModel",
    "CompiledProduct",
    "CompiledProgram",
    "FitError",
    "FormatPlan",
    "Misfit",
    "ModelGeometry",
    "Note",
    "Plan",
    "check_folder",
    "choose_formats",
    "compile_model",
    "compile_product",
    "default_context",
    "plan",
    "quantize_model",
    "uniform_formats",
    "write_folder",
]
