"""A customer's day with cs (PyPI): one JSON line a step, told by its fields, not by its ids."""

import json
import os
import sys

from cs import CloudStack, CloudStackApiException

cloud = CloudStack(
    endpoint=os.environ["CLOUDSTACK_ENDPOINT"],
    key=os.environ["CLOUDSTACK_KEY"],
    secret=os.environ["CLOUDSTACK_SECRET"],
    poll_interval=0.2,
    timeout=60,
)
zone, template, small, disk = sys.argv[1:5]


def tell(step, thing, *states):
    shape = sorted(thing)
    print(json.dumps({"step": step, "fields": shape, "states": [thing.get(s) for s in states]}))


offerings = cloud.listNetworkOfferings(state="Enabled", guestiptype="Isolated")["networkoffering"]
offering = next(o for o in offerings if not o.get("forvpc"))
network = cloud.createNetwork(
    name="day", displaytext="day", zoneid=zone, networkofferingid=offering["id"]
)["network"]
tell("network", network, "name")
vm = cloud.deployVirtualMachine(
    zoneid=zone, templateid=template, serviceofferingid=small, networkids=network["id"],
    name="day", fetch_result=True,
)["virtualmachine"]
tell("deploy", vm, "state", "name", "serviceofferingname")
tell("stop", cloud.stopVirtualMachine(id=vm["id"], fetch_result=True)["virtualmachine"], "state")
tell("start", cloud.startVirtualMachine(id=vm["id"], fetch_result=True)["virtualmachine"], "state")
volume = cloud.createVolume(
    name="data", zoneid=zone, diskofferingid=disk, fetch_result=True
)["volume"]
tell("volume", volume, "state", "type")
attached = cloud.attachVolume(id=volume["id"], virtualmachineid=vm["id"], fetch_result=True)
tell("attach", attached["volume"], "state")
address = cloud.associateIpAddress(networkid=network["id"], fetch_result=True)["ipaddress"]
tell("address", address, "state")
try:
    cloud.deployVirtualMachine(zoneid=zone, templateid=template, serviceofferingid=template)
    print(json.dumps({"step": "refused", "code": 0}))
except CloudStackApiException as refused:
    print(json.dumps({"step": "refused", "code": refused.error["errorcode"]}))
cloud.detachVolume(id=volume["id"], fetch_result=True)
tell("delete volume", cloud.deleteVolume(id=volume["id"]))
tell("release", cloud.disassociateIpAddress(id=address["id"], fetch_result=True))
gone = cloud.destroyVirtualMachine(id=vm["id"], fetch_result=True)["virtualmachine"]
tell("destroy", gone, "state")
