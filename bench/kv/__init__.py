"""Measurements of KV-cache compression on a small model that this repository trains: `python -m bench.kv --help`."""
