"""`tern relay` between a client and a server of a case."""

import json
import signal
import time

from harness.process import Failure, NotRun, check, free_port
from harness.tern import Serving, wait_for_text


class Relay:
    """Listens on 127.0.0.1, on a port of its own or `port`; `flags` say what it does to packets."""

    def __init__(self, case, to_port, *flags, port=None):
        path = getattr(case.subject, "path", None)
        if path is None:
            raise NotRun("nothing stands in for the relay")
        self.port = port or free_port()
        self.process = case.start(
            "tern-relay", [path, "relay", "--json", "-l", f"127.0.0.1:{self.port}",
                           "-t", f"127.0.0.1:{to_port}", *flags], on_stop=self._stopped)
        wait_for_text(self.process, '"listening"')

    @staticmethod
    def _stopped(process):
        status = process.stop(signal.SIGINT)
        check(status == 0, f"tern relay exited with {status}: {process.tail()}")

    def serving(self):
        """As a server, for clients."""
        return Serving(self.port, self.process)

    def counters(self, timeout=5.0):
        """What happened to the packets so far."""
        before = len(self._events("counters"))
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + timeout
        while len(self._events("counters")) == before:
            if time.monotonic() > deadline:
                raise Failure("tern relay prints no counters")
            time.sleep(0.02)
        return self._events("counters")[-1]

    def rebindings(self):
        return self.counters()["rebindings"]

    def _events(self, name):
        lines = self.process.text().split("\n")[:-1]  # the last may not be whole
        return [event for event in map(json.loads, lines) if event["event"] == name]


def dropped(counters):
    """Packets lost, both ways."""
    return counters["to_server"]["dropped"] + counters["to_client"]["dropped"]
