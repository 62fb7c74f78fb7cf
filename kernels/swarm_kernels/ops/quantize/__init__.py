"""Quantise and pack vectors."""

from .reference import dequantize, quantize

__all__ = ["dequantize", "quantize"]
