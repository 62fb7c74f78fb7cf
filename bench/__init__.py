"""Measurements, side by side in one run: see `python -m bench.writes --help`."""
