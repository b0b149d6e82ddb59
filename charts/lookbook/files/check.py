"""Classify an image, read the prediction back, and compare the two."""

import io
import json
import os
import sys
import urllib.request

from PIL import Image


def find_token(text):
    """The first token that may classify and read; a line is TOKEN [ROLES [NAME]]."""
    for line in text.splitlines():
        token, *roles = line.split()[:2] or [None]
        if token and (not roles or {"predict", "read"} <= set(roles[0].split(","))):
            return token
    sys.exit("no token of the Secret has the roles predict and read: add one, or one without roles")


def call(path, data=None):
    headers = {"Content-Type": "image/png"} if data else {}
    if os.environ.get("TOKENS"):
        headers["Authorization"] = f"Bearer {find_token(os.environ['TOKENS'])}"
    with urllib.request.urlopen(urllib.request.Request(sys.argv[1] + path, data, headers), timeout=10) as response:
        return json.load(response)


image = io.BytesIO()
Image.linear_gradient("L").save(image, "PNG")
prediction = call("/v1/predictions", image.getvalue())
print(json.dumps(prediction))
if call(f"/v1/predictions/{prediction['id']}") != prediction:
    sys.exit("the stored prediction differs from the one in the response")
