"""Brings model bundles to the pods: publishes them into a volume, serves and pulls them."""
