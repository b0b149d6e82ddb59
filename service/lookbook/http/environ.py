"""Keys of the WSGI environment that are Lookbook's own. Tests: tests/unit/test_admission.py."""

# Set while the body is still arriving: the application may only refuse the request, and gets it again with its body.
INCOMPLETE = "lookbook.incomplete"
ADMITTED = "lookbook.admitted"
