"""Lookbook: classifies pictures and keeps every answer."""

__version__ = "0.2.0"
