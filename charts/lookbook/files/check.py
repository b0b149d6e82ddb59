"""Post a picture, read its record back, compare."""

import io
import json
import os
import sys
import urllib.request

from PIL import Image


def call(path, data=None):
    headers = {"Content-Type": "image/png"} if data else {}
    if os.environ.get("TOKENS"):
        headers["Authorization"] = f"Bearer {os.environ['TOKENS'].split()[0]}"
    with urllib.request.urlopen(urllib.request.Request(sys.argv[1] + path, data, headers), timeout=10) as answer:
        return json.load(answer)


picture = io.BytesIO()
Image.linear_gradient("L").save(picture, "PNG")
stored = call("/v1/predictions", picture.getvalue())
print(json.dumps(stored))
if call(f"/v1/predictions/{stored['id']}") != stored:
    sys.exit("the record read back is another")
