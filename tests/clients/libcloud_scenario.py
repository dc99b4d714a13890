"""A customer's day with libcloud (PyPI): one JSON line a step."""

import json
import os
import sys
from urllib.parse import urlparse

from libcloud.compute.base import NodeSize
from libcloud.compute.drivers.cloudstack import CloudStackNodeDriver

zone, template, small, network, name = sys.argv[1:6]
url = urlparse(os.environ["CLOUDSTACK_ENDPOINT"])
cloud = CloudStackNodeDriver(
    key=os.environ["CLOUDSTACK_KEY"],
    secret=os.environ["CLOUDSTACK_SECRET"],
    host=url.hostname,
    port=url.port,
    path=url.path,
    secure=False,
)


def tell(step, **said):
    print(json.dumps({"step": step, **said}))


location = next(it for it in cloud.list_locations() if it.id == zone)
# list_sizes of libcloud 3.9 fails where any offering leaves its vCPUs to the customer.
size = NodeSize(id=small, name="small", ram=1024, disk=0, bandwidth=0, price=0, driver=cloud)
image = next(it for it in cloud.list_images() if it.id == template)
networks = [it for it in cloud.ex_list_networks() if it.id == network]
node = cloud.create_node(name=name, size=size, image=image, location=location, networks=networks)
tell("deploy", state=node.state, fields=sorted(node.extra))
tell("stop", state=cloud.ex_stop(node))
tell("start", state=cloud.ex_start(node))
volume = cloud.create_volume(2, "data", location=location)
tell("volume", name=volume.name, fields=sorted(volume.extra))
tell("attach", done=cloud.attach_volume(node, volume))
tell("detach", done=cloud.detach_volume(volume))
tell("delete volume", done=cloud.destroy_volume(volume))
address = cloud.ex_allocate_public_ip(network_id=network)
tell("address", fields=sorted(vars(address)))
tell("release", done=cloud.ex_release_public_ip(address))
tell("destroy", done=cloud.destroy_node(node))
