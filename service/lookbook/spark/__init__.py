"""Batch jobs and the history as a table, on Spark."""

from lookbook.spark.history import register

__all__ = ["register"]
