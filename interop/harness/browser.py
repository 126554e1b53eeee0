"""Chromium and Firefox, driven by drivers/browser.mjs: one for a case, or one that several cases share."""

import collections
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import threading

from harness.process import INTEROP, Failure, check, free_port, peer_path
from harness.tern import last_lines

PATIENCE = 150.0  # seconds for a run of a driver
PROGRAM = INTEROP / "drivers/browser.mjs"
LIBRARIES = {"chromium": "playwright-core", "firefox": "puppeteer-core"}


def given(case, browser, profile=None):
    """What a driver's `launch` wants. profile: Firefox's, if it is not to be a fresh one."""
    options = {"module": peer_path(LIBRARIES[browser]), "browser": peer_path(browser)}
    if browser == "chromium":
        return options | {"spki": case.certs.spki}
    return options | {"profile": profile or firefox_profile(case, case.folder)}


# What Firefox compiles and decodes when a profile is new, and the version that it belongs to.
CACHE = ("startupCache", "compatibility.ini")


def firefox_profile(case, folder, knows_ca=True):
    """A fresh profile that trusts the server's CA; it has the cache of one that was used before."""
    profile = folder / "profile"
    profile.mkdir()
    commands = [["-N", "--empty-password"]]
    if knows_ca:
        commands.append(["-A", "-n", "tern", "-t", "C,,", "-i", str(case.certs.ca)])
    for command in commands:
        done = subprocess.run(["certutil", *command, "-d", f"sql:{profile}"], check=False,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"certutil: {done.stderr.strip()}")
    if (case.shared / "firefox-cache").exists():
        shutil.copytree(case.shared / "firefox-cache", profile, dirs_exist_ok=True)
    return str(profile)


def keep_cache(case, profile):
    """For the profiles that are made later."""
    new = profile.parent / "firefox-cache"
    if not (case.shared / new.name).exists() and all((profile / name).exists() for name in CACHE):
        new.mkdir()
        for name in CACHE:
            shutil.move(profile / name, new)
        try:
            new.rename(case.shared / new.name)
        except OSError:
            pass  # another case was first


def drive(case, browser, driver, options, namespace=None):
    """What `driver` saw in a browser of the case's own. namespace: where it runs."""
    command = ["node", PROGRAM, f"{driver}.mjs", json.dumps(options)]
    if namespace:
        command = namespace.command(command)
    status, text = case.run(browser, command, timeout=PATIENCE)
    if "profile" in options:
        keep_cache(case, pathlib.Path(options["profile"]))
    lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
    errors = [line.strip() for line in text.splitlines() if re.search(r"ERR|Error", line)]
    check(status == 0 and lines,
          f"the browser failed ({status}): {errors[0] if errors else last_lines(text)}")
    return json.loads(lines[-1])


class SharedBrowser:
    """To start a browser is most of the work of a case that has one."""

    def __init__(self, case, browser, name, driver, options):
        folder = case.shared / name
        folder.mkdir()
        profile = firefox_profile(case, folder) if browser == "firefox" else None
        command = ["node", PROGRAM, f"{driver}.mjs", json.dumps(given(case, browser, profile) | options), "shared"]
        self._log = folder / "browser.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                             text=True, start_new_session=True)
        self._lock = threading.Lock()
        self._waiting = {}  # queues, by the number of the run; None when the browser has ended
        self._runs = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._lock:
                self._waiting.pop(answer["id"]).put(answer)
        with self._lock:
            waiting, self._waiting = self._waiting, None
        for each in waiting.values():
            each.put({"error": "it has ended"})

    def drive(self, driver, options):
        """What `driver` saw."""
        answer = queue.Queue()
        with self._lock:
            check(self._waiting is not None, f"the browser has ended: {self._tail()}")
            self._runs += 1
            self._waiting[self._runs] = answer
            job = {"id": self._runs, "driver": f"./{driver}.mjs", "options": options}
            try:
                self._process.stdin.write(json.dumps(job) + "\n")
                self._process.stdin.flush()
            except OSError:
                pass  # the reader sees the end
        try:
            said = answer.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failure(f"the browser was not through within {PATIENCE:.0f} s") from None
        check("seen" in said, f"the browser failed: {said.get('error')} {self._tail()}")
        return said["seen"]

    def _tail(self):
        return last_lines(self._log.read_text(errors="replace"))

    def close(self):
        try:
            self._process.stdin.close()
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # also what it left behind
        except ProcessLookupError:
            pass
        self._process.wait()


def shared(case, browser, name, driver, options):
    """The browser of that name, which lasts as long as the run."""
    def start():
        started = SharedBrowser(case, browser, name, driver, options)
        case.lasting.append(started)
        return started
    return case.once(("browser", name), start)


def shared_over_quic(case):
    """A Chromium, and ports of localhost that it asks over QUIC at once, to take one from for each server."""
    def ports():
        return [free_port() for _ in range(16)]
    known = case.once("ports over QUIC", ports)
    left = case.once("ports over QUIC that are left", lambda: collections.deque(known))
    return shared(case, "chromium", "chromium-h3", "chromium",
                  {"way": "h3", "hosts": [f"localhost:{port}" for port in known]}), left


def over_tcp_with_quic(case):
    """A Chromium that trusts the servers over TCP alone."""
    return shared(case, "chromium", "chromium-tcp", "chromium_rpc", {"quic": False})
