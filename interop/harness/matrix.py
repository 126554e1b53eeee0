"""The register of cases, and what several kinds of cases share."""

import dataclasses
import hashlib

from harness.process import check

CASES = []
SMALL, LARGE, HUGE = "small.txt", "5m.bin", "20m.bin"  # files of the test site
POSTED = bytes((i * 7 + (i >> 8)) % 256 for i in range(300_000))
POSTED_TYPE = "application/x-tern-interop"


@dataclasses.dataclass(frozen=True)
class Definition:
    name: str  # PEER-AND-ROLE/WHAT
    peer: str  # as interop/peers knows it
    function: object
    beside: int = 0  # it mostly waits, and runs beside the others; how long, about, in seconds


def case(name, peer, /, beside=0, **parameters):
    """Registers a function of (run, **parameters) as a case; one function may be several."""
    def register(function):
        CASES.append(Definition(name, peer, lambda run: function(run, **parameters), beside))
        return function
    return register


def pattern(count):
    """What the demo site's /bytes/N answers."""
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def expect_answer(answer, body, protocol="h3"):
    check(answer["status"] == 200, f"status {answer['status']}")
    check(answer.get("protocol", protocol) == protocol, f"came over {answer.get('protocol')!r}")
    check(answer["length"] == len(body), f"{answer['length']} bytes instead of {len(body)}")
    check(answer["sha256"] == digest(body), "the body is wrong")
