"""A client that keeps to no rule: aioquic, made to send what it would not, on 150 connections."""

import collections
import json
import re
import time

from harness.matrix import case
from harness.process import INTEROP, check, peer_path
from harness.servers import in_chroot
from harness.tern import last_lines

PATIENCE = 60.0  # seconds, for the log's last line


def complaints(server):
    """The server's messages about its clients."""
    lines = [json.loads(line) for line in server.process.text().splitlines() if line.startswith('{"event":"message"')]
    return [line["text"] for line in lines if " with 127.0.0.1:" in line["text"]]


@case("aioquic/rules", "aioquic", 6)
def rules(run):
    """Each is ended with the RFC's code, or its request is, and no other connection notices; the log has one line of
    each that names the rule."""
    peer_path("aioquic")
    server = run.subject.serve(run, log=True)
    status, text = run.run("aioquic", in_chroot(
        [(INTEROP / "drivers", "/srv/drivers")],
        ["env", "PYTHONDONTWRITEBYTECODE=1", "python3", "/srv/drivers/aioquic_wrong.py", str(server.port)]), timeout=300)
    seen = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    check(status == 0 and len(seen) > 150, f"aioquic exited with {status}, after {len(seen)}: {last_lines(text)}")
    bad = [each for each in seen if not each["good"]]
    check(not bad, f"{len(bad)} of {len(seen)}: {bad[:3]}")
    refused = collections.Counter(each["port"] for each in seen if each["expected"][0] != "answer")
    deadline = time.monotonic() + PATIENCE
    while len(complaints(server)) < refused.total() and time.monotonic() < deadline:
        time.sleep(0.1)
    told = complaints(server)
    lines = collections.Counter(int(re.search(r" with 127\.0\.0\.1:(\d+): ", text)[1]) for text in told)
    check(lines == refused, f"{len(told)} lines for {refused.total()}: {(lines - refused) + (refused - lines)}")
    nameless = [text for text in told if "RFC " not in text]
    check(not nameless, f"no rule in {nameless[:3]}")
