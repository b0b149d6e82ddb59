"""What a model may expect of pixels. Tests: tests/unit/test_build.py."""

# Mean and standard deviation in the manifest that map pixels to each range, black to white.
RANGES = {"0..255": (0.0, 1 / 255), "0..1": (0.0, 1.0), "-1..1": (0.5, 0.5)}
