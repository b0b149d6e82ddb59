"""The init container: publishes model bundles to a volume, serves them, and pulls them into pods."""
