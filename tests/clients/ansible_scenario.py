"""A customer's day with Ansible (PyPI `ansible`, which brings ngine_io.cloudstack): a line a task."""

import json
import os
import subprocess
import sys

names = ["zone", "template", "service_offering", "disk_offering", "network_offering", "day"]
folder = os.path.dirname(os.path.abspath(__file__))
environment = {
    **os.environ,
    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "LC_ALL": "C.UTF-8",
}
ran = subprocess.run(
    [
        os.path.join(os.path.dirname(sys.executable), "ansible-playbook"),
        os.path.join(folder, "ansible_day.yml"),
        "--extra-vars",
        json.dumps(dict(zip(names, sys.argv[1:]))),
    ],
    env=environment,
    capture_output=True,
    text=True,
)
try:
    told = json.loads(ran.stdout[ran.stdout.index("{"):])
    tasks = told["plays"][0]["tasks"]
except (ValueError, KeyError, IndexError):
    sys.exit(f"ansible-playbook: {ran.stdout}\n{ran.stderr}")
for task in tasks:
    result = task["hosts"]["localhost"]
    said = {
        "step": task["task"]["name"],
        "changed": result.get("changed"),
        "failed": result.get("failed", False),
        "state": result.get("state"),
        "fields": sorted(result),
    }
    if said["failed"]:
        said["text"] = result.get("msg")
    print(json.dumps(said))
sys.exit(f"{said}\n{ran.stderr}" if ran.returncode else 0)
