"""The store as files: all predictions as Parquet, and judged images as a folder for training."""
