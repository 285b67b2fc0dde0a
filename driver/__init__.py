"""Importers, quantizer, compiler, scheduler and runtime: from a model file to tokens on a device."""
