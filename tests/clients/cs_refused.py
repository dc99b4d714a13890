"""What cs (PyPI) shows of a refused deploy at each endpoint, in JSON or XML: a line each."""

import json
import sys
from xml.etree import ElementTree

from cs import CloudStack, CloudStackException

params = json.loads(sys.argv[1])
for endpoint in sys.argv[2:]:
    key, secret = params["key"], params["secret"]
    cloud = CloudStack(endpoint=endpoint, key=key, secret=secret, timeout=60)
    try:
        cloud.deployVirtualMachine(json=not params.get("xml"), **params["call"])
        print("nothing was refused")
    except CloudStackException as refused:
        told = getattr(refused, "error", "")
        if params.get("xml"):
            # cs hands XML on as it came.
            root = ElementTree.fromstring(refused.response.content)
            told = {part.tag: part.text for part in root}
        print(json.dumps(f"{refused} {told}"))
