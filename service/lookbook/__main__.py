"""`python -m lookbook` runs the `lookbook` command. Tests: tests/server/test_process.py."""

from lookbook.cli.main import main

main()
