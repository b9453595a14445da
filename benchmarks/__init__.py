"""What a warm and a cold read cost, measured against the bare calls: `python -m benchmarks`."""
