"""Keys of the WSGI environment that are Lookbook's own. Tests: tests/unit/test_admission.py."""

# The server sets it while the body is still arriving: the request may only be refused, and comes again with its body.
INCOMPLETE = "lookbook.incomplete"
ADMITTED = "lookbook.admitted"
