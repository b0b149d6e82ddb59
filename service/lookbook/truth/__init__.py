"""Statistics of one uniform sample: review order, accuracy with intervals, drift, and replay. Knows no store."""
