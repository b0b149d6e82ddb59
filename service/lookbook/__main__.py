"""`python -m lookbook` is `lookbook`."""

from lookbook.cli.main import main

main()
