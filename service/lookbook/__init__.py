"""Lookbook classifies images and keeps every prediction."""

__version__ = "0.2.0"
