"""Lists the packages, which pyproject.toml cannot: it looks for them in one folder only, and celosia has several."""

from setuptools import find_packages, setup

FOLDERS = ("arch", "boards", "driver", "golden", "hdl", "models", "sim")

nested = [f"{folder}.{name}" for folder in FOLDERS for name in find_packages(folder)]
setup(packages=["celosia", *(f"celosia.{name}" for name in sorted([*FOLDERS, *nested]))])
