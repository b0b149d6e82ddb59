"""`python -m service` is `lookbook`."""

from service.cli import main

main()
