"""Chromium and Firefox, headless, load the demo page of `tern serve`: over HTTP/3, HTTP/2 and HTTP/1.1,
and up from TCP to HTTP/3 by alt-svc."""

from harness.browser import behind_walls, chromium, firefox, firefox_port, over_tcp
from harness.matrix import POSTED, POSTED_TYPE, case, expect_answer, pattern
from harness.process import check


def session(case, browser, way, **serving):
    """What one browser saw that loads the demo page, presses its buttons, and fetches on its own."""
    if way in ("h2", "http/1.1"):
        used, port, host = over_tcp(case, browser, way), None, "localhost"
    elif way == "alt-svc":
        used, port, host = {"chromium": chromium, "firefox": firefox}[browser](case), None, "localhost"
    elif browser == "chromium":
        used, host = chromium(case), "localhost"
        port = used.ports.popleft()
    else:
        used, port, host = firefox(case), firefox_port(case), "127.0.0.1"
    server = case.subject.serve(case, port=port, **serving)
    return used.drive(browser, {"url": f"https://{host}:{server.port}/", "climbs": way == "alt-svc"})


def session_without_udp(case, unblock):
    """As `session`, in Chromium, by what the server says of HTTP/3, where no datagram arrives; how many did not."""
    browser = behind_walls(case, "chromium")
    namespace = browser.fleet.namespace
    server = case.subject.serve(case, namespace=namespace)
    namespace.drop_udp(server.port)
    options = {"url": server.url(), "climbs": True}
    if unblock:
        return browser.drive("chromium", options | {"unblock": namespace.passing_udp(server.port)}), None
    return browser.drive("chromium", options), namespace.dropped(server.port)


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


BROWSER_CHECKS = {"page": browser_page, "5mb": browser_large, "post": browser_post,
                  "parallel": browser_parallel, "panels": browser_panels}


def browser_case(run, browser, checks, serving):
    key = (browser, *sorted(serving.items()))
    seen = run.once(key, lambda: session(run, browser, "h3", **serving))
    for each in checks:
        BROWSER_CHECKS[each](seen, "h3")


def without_quic(run, browser, protocol):
    """All of it, with QUIC switched off in the browser."""
    seen = session(run, browser, protocol)
    for each in BROWSER_CHECKS.values():
        each(seen, protocol)


def climbs(run, browser):
    """The page comes over HTTP/2 and names HTTP/3; the browser takes it for what comes next."""
    seen = session(run, browser, "alt-svc")
    way = seen["climb"]
    check(way[0] == "h2" and way[-1] == "h3", f"the page and what it fetched came over {way}")
    for each in BROWSER_CHECKS.values():
        each(seen, "h3")


def without_udp(run):
    """As `climbs`, where no datagram arrives: everything stays on HTTP/2, and works."""
    seen, dropped = session_without_udp(run, unblock=False)
    check(dropped > 0, "the browser never tried QUIC")
    check(set(seen["climb"]) == {"h2"}, f"fetched over {seen['climb']}")
    for each in BROWSER_CHECKS.values():
        each(seen, "h2")


def udp_comes_back(run):
    """As `without_udp`, until nftables lets datagrams through again: the same browser, with the same page and connection,
    climbs to HTTP/3 when it tries that again. All of it works there."""
    seen, _ = session_without_udp(run, unblock=True)
    check(set(seen["climb"]) == {"h2"}, f"with UDP blocked: fetched over {seen['climb']}")
    way = seen["climbAgain"]
    check(set(way) <= {"h2", "h3"} and way[-1] == "h3", f"with UDP back: fetched over {way}")
    for each in BROWSER_CHECKS.values():
        each(seen, "h3")


for _browser in ("chromium", "firefox"):
    for _check in BROWSER_CHECKS:
        case(f"{_browser}/{_check}", _browser, browser=_browser, checks=[_check],
             serving={})(browser_case)
    _beside = 8 if _browser == "firefox" else 0  # it takes seconds to begin
    case(f"{_browser}/h2", _browser, _beside, browser=_browser, protocol="h2")(without_quic)
    case(f"{_browser}/http1.1", _browser, _beside, browser=_browser, protocol="http/1.1")(without_quic)
    case(f"{_browser}/alt-svc", _browser, _beside, browser=_browser)(climbs)
case("chromium/udp-blocked", "chromium")(without_udp)
case("chromium/udp-back", "chromium")(udp_comes_back)
case("chromium/epoll", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"engine": "epoll"})(browser_case)
case("chromium/workers", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"workers": 2})(browser_case)
case("chromium/retry", "chromium", browser="chromium", checks=list(BROWSER_CHECKS),
     serving={"retry": True})(browser_case)
