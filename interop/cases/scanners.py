"""What auditors point at a server: testssl.sh, and slowhttptest's three kinds of slow clients."""

import http.client
import json
import re
import ssl
import time

from harness.matrix import case, pattern
from harness.process import check, peer_path
from harness.tern import last_lines

# What testssl.sh says at MEDIUM or above, and why it stays so.
EXPLAINED = {
    # The client chooses among ciphers that are all ECDHE with AEAD: it knows what its processor does
    # well, which is what Mozilla's Server Side TLS advises as well.
    "cipher_order",
}
GRAVE = ("MEDIUM", "HIGH", "CRITICAL")
PROTOCOLS = {"SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered",
             "TLS1_1": "not offered", "TLS1_2": "offered", "TLS1_3": "offered with final"}


@case("testssl/findings", "testssl", beside=40)
def testssl(run):
    """Protocols, kinds of ciphers, the server's defaults, and every vulnerability it knows."""
    server = run.subject.serve(run)
    report = run.folder / "testssl.json"
    status, text = run.run("testssl", [
        peer_path("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1",
        "--openssl-timeout", "10", "--add-ca", run.certs.ca, "--jsonfile", report, "--protocols",
        "--std", "--server-preference", "--vulnerable", f"localhost:{server.port}"], timeout=300)
    check(report.exists(), f"testssl exited with {status}: {last_lines(text)}")
    findings = json.loads(report.read_text())
    check(any(each["id"] == "scanTime" and each["severity"] == "INFO" for each in findings),
          "it did not come to its end")
    said = {each["id"]: each["finding"] for each in findings}
    for name, wanted in PROTOCOLS.items():
        check(said.get(name) == wanted, f"{name}: {said.get(name)}")
    check(said.get("ALPN_HTTP2") == "h2" and said.get("ALPN") == "http/1.1",
          f"ALPN: {said.get('ALPN_HTTP2')}, {said.get('ALPN')}")
    check(len([each for each in findings if each["severity"] == "OK"]) >= 25, "few tests were made")
    grave = [f"{each['severity']} {each['id']}: {each['finding']}" for each in findings
             if each["severity"] in GRAVE and each["id"] not in EXPLAINED]
    check(not grave, "; ".join(grave))


SLOW = 100  # connections of each kind
SECONDS = 20  # the time limit of a head is 10 s


@case("slowhttptest/all-modes", "slowhttptest", beside=21)
def slow_clients(run):
    """Slow heads, slow bodies and slow readers at once. A good client is served as if they were not
    there, and slow heads end by their limit; those of bodies and readers are minutes, and are tried
    in virtual time (tests/attacks)."""
    server = run.subject.serve(run)
    # The attackers' own look at the server is to last as long: they spin once they have given up on its answer.
    common = ["-c", str(SLOW), "-r", str(SLOW), "-l", str(SECONDS), "-p", str(SECONDS + 6)]
    modes = {
        "heads": ["-H", "-i", "1", "-u", server.url("/hello")],
        "bodies": ["-B", "-i", "1", "-s", "8192", "-u", server.url("/echo")],
        "readers": ["-X", "-w", "512", "-y", "1024", "-n", "3", "-z", "32",
                    "-u", server.url("/bytes/10000000")],
    }
    program = peer_path("slowhttptest")
    attackers = {name: run.start(name, [program, *flags, *common]) for name, flags in modes.items()}
    context = ssl.create_default_context(cafile=str(run.certs.ca))
    served = 0
    while any(attacker.status is None for attacker in attackers.values()):
        client = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=5)
        try:
            client.request("GET", "/bytes/1000000")
            check(client.getresponse().read() == pattern(1_000_000), "another body")
        finally:
            client.close()
        served += 1
        time.sleep(0.5)
    check(served >= 3, f"the good client had {served} answers only")
    for name, attacker in attackers.items():
        text = re.sub(r"\x1b\[[0-9;]*m", "", attacker.text())
        last = {key: value for key, value in re.findall(r"^([a-z ]+): +(\S+)$", text, re.MULTILINE)}
        check(last.get("service available") == "YES", f"{name}: {last}")
        check(int(last["closed"]) + int(last["connected"]) == SLOW, f"{name}: {last}")
        ended = "Exit status: No open connections left" in text
        check(ended == (name == "heads"), f"{name}: {last_lines(text)}")
