"""The baseline: a Flask application as its own documentation would write it."""

from flask import Flask, Response, jsonify, request

from benchmarks.peers.adapters.classifier import Classifier

app = Flask(__name__)
classifier = Classifier()


@app.post("/predict")
def predict() -> Response:
    label, score = classifier.classify(request.files["image"].read())
    return jsonify(label=label, score=score)


@app.get("/ready")
def ready() -> str:
    return "ready"
