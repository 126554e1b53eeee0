"""Chromium and Firefox, headless, load the demo page of `tern serve` over HTTP/3."""

import json
import re
import subprocess

from harness.matrix import POSTED, POSTED_TYPE, case, expect_answer, pattern
from harness.process import INTEROP, check, peer_path
from harness.tern import last_lines


def chromium_session(case, **serving):
    """One Chromium that loads the demo page, presses its buttons, and fetches on its own."""
    arguments = {"module": peer_path("playwright-core"), "browser": peer_path("chromium"),
                 "spki": case.certs.spki}
    return browser_session(case, "chromium", arguments, serving)


def firefox_session(case, **serving):
    profile = case.folder / "profile"
    profile.mkdir()
    arguments = {"module": peer_path("puppeteer-core"), "browser": peer_path("firefox"),
                 "profile": str(profile)}
    for command in (["-N", "--empty-password"],
                    ["-A", "-n", "tern", "-t", "C,,", "-i", str(case.certs.ca)]):
        done = subprocess.run(["certutil", *command, "-d", f"sql:{profile}"], check=False,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"certutil: {done.stderr.strip()}")
    return browser_session(case, "firefox", arguments, serving)


def browser_session(case, name, arguments, serving):
    server = case.subject.serve(case, **serving)
    arguments["url"] = server.url()
    status, text = case.run(name, ["node", INTEROP / f"drivers/{name}.mjs", json.dumps(arguments)],
                            timeout=120)
    lines = [line for line in text.splitlines() if line.startswith("{\"browser\"")]
    errors = [line.strip() for line in text.splitlines() if re.search(r"ERR|Error", line)]
    check(status == 0 and lines,
          f"the browser failed ({status}): {errors[0] if errors else last_lines(text)}")
    return json.loads(lines[-1])


def browser_page(seen):
    check(seen["status"] == 200, f"the page's status is {seen['status']}")
    check(seen["navigation"] == "h3", f"the page came over {seen['navigation']!r}")
    check("over h3" in seen["panels"]["heading"], f"the page says {seen['panels']['heading']!r}")
    types = {"/style.css": "text/css", "/app.js": "text/javascript", "/tern.svg": "image/svg+xml"}
    for path, answer in seen["resources"].items():
        check(answer["status"] == 200 and answer["protocol"] == "h3", f"{path}: {answer}")
        check(answer["type"].startswith(types[path]), f"{path} has type {answer['type']!r}")
    check(seen["missing"]["status"] == 404 and seen["missing"]["protocol"] == "h3",
          f"a missing page: {seen['missing']}")
    head = seen["head"]
    check(head["status"] == 200 and head["length"] == 0, f"HEAD: {head}")
    complaints = [text for text in seen["complaints"] if "404" not in text]
    check(not complaints, f"the browser complains: {complaints[:3]}")


def browser_large(seen):
    expect_answer(seen["large"], pattern(5_000_000))


def browser_post(seen):
    expect_answer(seen["post"], POSTED)
    check(seen["post"]["type"] == POSTED_TYPE, f"echoed type is {seen['post']['type']!r}")


def browser_parallel(seen):
    check(len(seen["parallel"]) == 100, "not 100 answers")
    for i, answer in enumerate(seen["parallel"]):
        expect_answer(answer, pattern(1000 + i))


def browser_panels(seen):
    for name in ("parallel", "download", "echo"):
        panel = seen["panels"][name]
        check(panel["state"] == "done", f"panel {name}: {panel['text']}")
        check(panel["protocol"] == "h3", f"panel {name} ran over {panel['protocol']!r}")


BROWSER_CHECKS = {"page": browser_page, "5mb": browser_large, "post": browser_post,
                  "parallel": browser_parallel, "panels": browser_panels}


def browser_case(run, browser, checks, serving):
    session = {"chromium": chromium_session, "firefox": firefox_session}[browser]
    key = (browser, *sorted(serving.items()))
    seen = run.once(key, lambda: session(run, **serving))
    for each in checks:
        BROWSER_CHECKS[each](seen)


for _browser in ("chromium", "firefox"):
    for _check in BROWSER_CHECKS:
        case(f"{_browser}/{_check}", _browser, browser=_browser, checks=[_check],
             serving={})(browser_case)
case("chromium/epoll", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"engine": "epoll"})(browser_case)
case("chromium/workers", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"workers": 2})(browser_case)
case("chromium/retry", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"retry": True})(browser_case)
