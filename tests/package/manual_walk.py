#!/usr/bin/env python3
"""manual_walk.py MANUAL PREFIX FOLDER: types what docs/rpc.md's "From a .proto to a running service" says, in an empty
folder, with the tern that is installed in PREFIX.

Its files are the blocks behind a line that begins with their name; its commands the `sh` blocks, all but those for tools
that only some machines have. The server gets a free port; everything else is as it stands there. Each command has to end
well, and each that calls to have been greeted.
"""

import pathlib
import re
import shlex
import socket
import subprocess
import sys
import time

manual, prefix, folder = (pathlib.Path(each).resolve() for each in sys.argv[1:])
OF_OTHERS = ("buf ", "curl ")
PATIENCE = 300.0


def run(command, log):
    done = subprocess.run(["bash", "-e", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        server = log.read_text() if log.exists() else ""
        sys.exit(f"{command}\nexited with {done.returncode}\n{done.stdout}{done.stderr}{server}")
    return done.stdout


def free_port():
    with socket.create_server(("::", 0), family=socket.AF_INET6) as tcp:
        return tcp.getsockname()[1]


def wait_for(port, server):
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("localhost", port), timeout=PATIENCE).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the server does not listen (exited: {server.poll()})")


def main():
    text = manual.read_text().split("\n## From a .proto to a running service\n")[1].split("\n## ")[0]
    folder.mkdir(parents=True)
    for name, block in re.findall(r"^`([\w.]+)`[^\n]*\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(block)
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    port = free_port()
    log = folder / "server.log"
    path, server, greeted = "", None, 0
    try:
        for line in shell.replace("DIR", shlex.quote(str(prefix))).splitlines():
            command = line.replace("https://localhost:4433", f"https://localhost:{port}")
            if command.startswith(OF_OTHERS) or not command:
                continue
            if command.startswith("export PATH="):
                path = command + "; "
            elif command == "./build/server":
                with log.open("w") as out:
                    server = subprocess.Popen([f"{folder}/build/server", f"[::]:{port}"], cwd=folder, stdout=out, stderr=out)
                wait_for(port, server)
            else:
                if command == "./build/client":
                    command += f" https://localhost:{port}"
                said = run(path + command, log)
                if server is not None:
                    if not re.search("hello (you|a)|greeter.v1.Greeter", said):
                        sys.exit(f"{command}\nsaid {said!r}")
                    greeted += 1
    finally:
        if server is not None:
            server.terminate()
            server.wait(PATIENCE)
    if greeted < 4:
        sys.exit(f"{greeted} calls, and the manual had 4 by tern's own programs")


main()
