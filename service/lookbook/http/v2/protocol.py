"""/v2: the Open Inference Protocol, as KServe, Triton, and MLServer speak it. Tests: tests/unit/test_v2.py."""

from flask import Blueprint

from lookbook.http.errors import handle_errors
from lookbook.http.v2 import health, inference, metadata

blueprint = Blueprint("v2", __name__, url_prefix="/v2")
for part in (health, metadata, inference):
    blueprint.register_blueprint(part.blueprint)
handle_errors(blueprint, lambda _, message: {"error": message})
