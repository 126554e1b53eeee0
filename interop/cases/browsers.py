"""Chromium and Firefox, headless, load the demo page of `tern serve`: over HTTP/3, HTTP/2 and HTTP/1.1,
and up from TCP to HTTP/3 by alt-svc."""

import json
import re
import subprocess

from harness.matrix import POSTED, POSTED_TYPE, case, expect_answer, pattern
from harness.namespace import Namespace
from harness.process import INTEROP, check, peer_path
from harness.tern import last_lines


def chromium_session(case, way, namespace=None, unblock=None, **serving):
    """One Chromium that loads the demo page, presses its buttons, and fetches on its own."""
    arguments = {"module": peer_path("playwright-core"), "browser": peer_path("chromium"),
                 "spki": case.certs.spki, "way": way}
    if unblock:
        arguments["unblock"] = unblock
    return browser_session(case, "chromium", arguments, serving, namespace)


def firefox_profile(case):
    """A fresh profile that trusts the server's CA."""
    profile = case.folder / "profile"
    profile.mkdir()
    for command in (["-N", "--empty-password"],
                    ["-A", "-n", "tern", "-t", "C,,", "-i", str(case.certs.ca)]):
        done = subprocess.run(["certutil", *command, "-d", f"sql:{profile}"], check=False,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"certutil: {done.stderr.strip()}")
    return str(profile)


def firefox_session(case, way, **serving):
    arguments = {"module": peer_path("puppeteer-core"), "browser": peer_path("firefox"),
                 "profile": firefox_profile(case), "way": way}
    return browser_session(case, "firefox", arguments, serving)


def browser_session(case, name, arguments, serving, namespace=None):
    server = case.subject.serve(case, namespace=namespace, **serving)
    arguments["url"] = server.url()
    command = ["node", INTEROP / f"drivers/{name}.mjs", json.dumps(arguments)]
    if namespace:
        namespace.drop_udp(server.port)
        command = namespace.command(command)
    status, text = case.run(name, command, timeout=120)
    lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
    errors = [line.strip() for line in text.splitlines() if re.search(r"ERR|Error", line)]
    check(status == 0 and lines,
          f"the browser failed ({status}): {errors[0] if errors else last_lines(text)}")
    return json.loads(lines[-1])


def browser_page(seen, protocol):
    check(seen["status"] == 200, f"the page's status is {seen['status']}")
    check(seen["navigation"] == protocol, f"the page came over {seen['navigation']!r}")
    check(f"over {protocol}" in seen["panels"]["heading"],
          f"the page says {seen['panels']['heading']!r}")
    types = {"/style.css": "text/css", "/app.js": "text/javascript", "/tern.svg": "image/svg+xml"}
    for path, answer in seen["resources"].items():
        check(answer["status"] == 200 and answer["protocol"] == protocol, f"{path}: {answer}")
        check(answer["type"].startswith(types[path]), f"{path} has type {answer['type']!r}")
    check(seen["missing"]["status"] == 404 and seen["missing"]["protocol"] == protocol,
          f"a missing page: {seen['missing']}")
    head = seen["head"]
    check(head["status"] == 200 and head["length"] == 0, f"HEAD: {head}")
    complaints = [text for text in seen["complaints"] if "404" not in text]
    check(not complaints, f"the browser complains: {complaints[:3]}")


def browser_large(seen, protocol):
    expect_answer(seen["large"], pattern(5_000_000), protocol)


def browser_post(seen, protocol):
    expect_answer(seen["post"], POSTED, protocol)
    check(seen["post"]["type"] == POSTED_TYPE, f"echoed type is {seen['post']['type']!r}")


def browser_parallel(seen, protocol):
    check(len(seen["parallel"]) == 100, "not 100 answers")
    for i, answer in enumerate(seen["parallel"]):
        expect_answer(answer, pattern(1000 + i), protocol)


def browser_panels(seen, protocol):
    for name in ("parallel", "download", "echo"):
        panel = seen["panels"][name]
        check(panel["state"] == "done", f"panel {name}: {panel['text']}")
        check(panel["protocol"] == protocol, f"panel {name} ran over {panel['protocol']!r}")


SESSIONS = {"chromium": chromium_session, "firefox": firefox_session}
BROWSER_CHECKS = {"page": browser_page, "5mb": browser_large, "post": browser_post,
                  "parallel": browser_parallel, "panels": browser_panels}


def browser_case(run, browser, checks, serving):
    key = (browser, *sorted(serving.items()))
    seen = run.once(key, lambda: SESSIONS[browser](run, "h3", **serving))
    for each in checks:
        BROWSER_CHECKS[each](seen, "h3")


def over_tcp(run, browser, protocol):
    """All of it, with QUIC switched off in the browser."""
    seen = SESSIONS[browser](run, protocol)
    for each in BROWSER_CHECKS.values():
        each(seen, protocol)


def climbs(run, browser):
    """The page comes over HTTP/2 and names HTTP/3; the browser takes it for what comes next."""
    seen = SESSIONS[browser](run, "alt-svc")
    way = seen["climb"]
    check(way[0] == "h2" and way[-1] == "h3", f"the page and what it fetched came over {way}")
    for each in BROWSER_CHECKS.values():
        each(seen, "h3")


def without_udp(run):
    """As `climbs`, where no datagram arrives: everything stays on HTTP/2, and works."""
    with Namespace() as namespace:
        seen = chromium_session(run, "alt-svc", namespace)
        check(namespace.dropped() > 0, "the browser never tried QUIC")
        check(set(seen["climb"]) == {"h2"}, f"fetched over {seen['climb']}")
        for each in BROWSER_CHECKS.values():
            each(seen, "h2")


def udp_comes_back(run):
    """As `without_udp`, until nftables lets datagrams through again: the same browser, with the same page and connection,
    climbs to HTTP/3 when it tries that again. All of it works there."""
    with Namespace() as namespace:
        seen = chromium_session(run, "alt-svc", namespace, unblock=Namespace.UNBLOCK)
    check(set(seen["climb"]) == {"h2"}, f"with UDP blocked: fetched over {seen['climb']}")
    way = seen["climbAgain"]
    check(set(way) <= {"h2", "h3"} and way[-1] == "h3", f"with UDP back: fetched over {way}")
    for each in BROWSER_CHECKS.values():
        each(seen, "h3")


for _browser in ("chromium", "firefox"):
    for _check in BROWSER_CHECKS:
        case(f"{_browser}/{_check}", _browser, browser=_browser, checks=[_check],
             serving={})(browser_case)
    _beside = _browser == "firefox"  # it takes seconds to begin
    case(f"{_browser}/h2", _browser, _beside, browser=_browser, protocol="h2")(over_tcp)
    case(f"{_browser}/http1.1", _browser, _beside, browser=_browser, protocol="http/1.1")(over_tcp)
    case(f"{_browser}/alt-svc", _browser, _beside, browser=_browser)(climbs)
case("chromium/udp-blocked", "chromium")(without_udp)
case("chromium/udp-back", "chromium")(udp_comes_back)
case("chromium/epoll", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"engine": "epoll"})(browser_case)
case("chromium/workers", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"workers": 2})(browser_case)
case("chromium/retry", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"retry": True})(browser_case)
