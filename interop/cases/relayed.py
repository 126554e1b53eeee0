"""Real clients and servers through `tern relay`: loss, and a NAT that rebinds."""

import re

from cases.gtls_client import gtls_post, gtlsclient
from cases.http_clients import curl
from cases.http_servers import http3_server
from harness.matrix import LARGE, case, digest, pattern
from harness.process import check, wait_for_tcp
from harness.relay import Relay, dropped
from harness.servers import in_chroot
from harness.tern import Fetch, last_lines

# 5 MB take 2 s at this rate, so that the rebinding falls into the transfer. One alone: these clients
# send no PING while they wait, so a rebinding that comes while the server gets over the last one, and
# sends nothing, would leave them unreachable for good.
LINK = ["--delay", "5ms", "--rate", "20mbps", "--loss", "1%"]
NEW_PORT = ["--first-rebind", "700ms"]
NEW_ADDRESS = [*NEW_PORT, "--rebind-address"]


def was_hard(relay, rebindings=1):
    """The transfer met what the relay was told to do."""
    seen = relay.counters()
    check(dropped(seen) > 0, "the relay lost nothing")
    check(seen["rebindings"] >= rebindings, f"{seen['rebindings']} rebindings")
    check(seen["overload"] + seen["send_failed"] + seen["strangers"] == 0, f"beside the link: {seen}")


@case("relay/gtlsclient", "gtls", nat=NEW_PORT)
@case("relay/gtlsclient-address", "gtls", nat=NEW_ADDRESS)
@case("relay/gtlsclient-workers", "gtls", nat=NEW_ADDRESS, workers=3)
def relay_gtlsclient(run, nat, **serving):
    relay = Relay(run, run.subject.serve(run, root=run.site, **serving).port, *LINK, *nat)
    log = gtlsclient(run, relay.serving(), paths=[f"/{LARGE}"])
    was_hard(relay)
    check(log.frames("rx", "PATH_CHALLENGE") >= 1, "the server did not validate the new path")


@case("relay/gtlsclient-post", "gtls")
def relay_gtlsclient_post(run):
    relay = Relay(run, run.subject.serve(run).port, *LINK, *NEW_ADDRESS)
    gtls_post(run, server=relay.serving())
    was_hard(relay)


@case("relay/curl", "curl")
@case("relay/curl-workers", "curl", workers=3)
def relay_curl(run, **serving):
    relay = Relay(run, run.subject.serve(run, **serving).port, *LINK, *NEW_ADDRESS)
    [(status, body)] = curl(run, relay.serving(), "-4", paths=["/bytes/5000000"])
    check(status == 200 and body == pattern(5_000_000), f"{status}, {len(body)} bytes")
    was_hard(relay)


@case("relay/get-caddy", "caddy", name="caddy", nat=[], rebindings=0)
@case("relay/get-nginx", "nginx", name="nginx", nat=NEW_PORT, rebindings=1)
def relay_get(run, name, nat, rebindings):
    """Debian's caddy goes on sending to the old address."""
    port, _ = http3_server(run, name)
    relay = Relay(run, port, *LINK, *nat)
    fetched = run.subject.get(run, Fetch([f"https://localhost:{relay.port}/{LARGE}"]), relay.port)
    [body] = fetched.expect_success().files
    check(digest(body) == digest((run.site / LARGE).read_bytes()), f"{len(body)} bytes, wrong hash")
    was_hard(relay, rebindings)


@case("relay/curl-tcp", "curl")
def relay_curl_tcp(run):
    """curl over TCP, as HTTP/2, to caddy: what is lost on the link is sent again."""
    port, _ = http3_server(run, "caddy")
    relay = Relay(run, port, "--delay", "5ms", "--rate", "50mbps", "--loss", "1%")
    wait_for_tcp(relay.process, relay.port)
    [output] = run.outputs(1)
    status, text = run.run("curl", in_chroot([], [
        "curl", "-sS", "-4", "--http2", "--cacert", run.certs.ca, "-w", "%{http_version} %{http_code}\\n",
        "-o", output, f"https://localhost:{relay.port}/{LARGE}"]), timeout=60)
    check(status == 0, f"curl exited with {status}: {last_lines(text)}")
    check(re.search(r"^2 200$", text, re.MULTILINE), f"curl says {last_lines(text)}")
    check(digest(output.read_bytes()) == digest((run.site / LARGE).read_bytes()), "the wrong bytes")
    check(relay.counters()["segments_retransmitted"] > 0, "no segment was sent again")
    was_hard(relay, rebindings=0)
