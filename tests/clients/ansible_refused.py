"""What Ansible (PyPI) shows of a refused call at each endpoint: a line each."""

import json
import os
import subprocess
import sys

params = {**json.loads(sys.argv[1]), "endpoints": sys.argv[2:]}
folder = os.path.dirname(os.path.abspath(__file__))
ran = subprocess.run(
    [
        os.path.join(os.path.dirname(sys.executable), "ansible-playbook"),
        os.path.join(folder, "ansible_refused.yml"),
        "--extra-vars",
        json.dumps(params),
    ],
    env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "LC_ALL": "C.UTF-8"},
    capture_output=True,
    text=True,
)
try:
    tasks = json.loads(ran.stdout[ran.stdout.index("{"):])["plays"][0]["tasks"]
    asked = [task["hosts"]["localhost"] for task in tasks]
    results = next(it["results"] for it in asked if not it.get("skipped"))
except (ValueError, KeyError, IndexError, StopIteration):
    sys.exit(f"ansible-playbook: {ran.stdout}\n{ran.stderr}")
for result in results:
    print(json.dumps(result["msg"]) if result.get("failed") else "nothing was refused")
