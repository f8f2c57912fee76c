"""What the README claims, measured; each module runs by itself: `python -m benchmarks.NAME`."""
