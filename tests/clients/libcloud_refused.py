"""What libcloud (PyPI) shows of a refused deploy at each endpoint: a line each."""

import json
import sys
from urllib.parse import urlparse

from libcloud.compute.drivers.cloudstack import CloudStackNodeDriver

params = json.loads(sys.argv[1])
for endpoint in sys.argv[2:]:
    url = urlparse(endpoint)
    cloud = CloudStackNodeDriver(
        key=params["key"],
        secret=params["secret"],
        host=url.hostname,
        port=url.port,
        path=url.path,
        secure=False,
    )
    try:
        cloud._async_request("deployVirtualMachine", params=params["call"])
        print("nothing was refused")
    except Exception as refused:
        print(json.dumps(f"{type(refused).__name__}: {refused}"))
