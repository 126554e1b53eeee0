"""interop/matrix.md, from outcomes."""

_HEAD = """# The QUIC interop matrix

Made by `interop/matrix --results FILE --markdown interop/matrix.md` on {date}; not written by hand.
The test cases, the network (10 Mbit/s, 30 ms, a queue of 25 packets) and the checks are those of
[quic-interop-runner](https://github.com/quic-interop/quic-interop-runner), made from packet captures
of both sides and the TLS key log. A column is a pair, client → server. ✓ passed · ✗ failed · — not
supported by the peer · blank: not run.

HTTP/0.9 (`hq-interop`) is spoken where both sides know it, else HTTP/3: gtls, nginx, haproxy, caddy,
bun, curl and Chromium know HTTP/3 alone. The runner does not look at that.

"""
_SIGNS = {"passed": "✓", "failed": "✗", "unsupported": "—", "not run": ""}


def render(outcomes, cases, pairs, date):
    lines = [_HEAD.format(date=date)]
    titles = [f"{client} → {server}" for client, server in pairs]
    lines.append("| case | | " + " | ".join(titles) + " |")
    lines.append("|---|---|" + ":-:|" * len(pairs))
    for case in cases:
        cells = []
        for client, server in pairs:
            outcome = outcomes.get((client, server, case.name))
            if outcome is None:
                cells.append("")
            elif outcome.kbps:
                cells.append(outcome.message.removesuffix(" kbit/s"))
            else:
                cells.append(_SIGNS[outcome.status])
        lines.append(f"| {case.name} | {case.what} | " + " | ".join(cells) + " |")
    counts = []
    for client, server in pairs:
        of_pair = [outcomes.get((client, server, case.name)) for case in cases]
        passed = sum(each is not None and each.status == "passed" for each in of_pair)
        counts.append(f"{passed}")
    lines.append(f"| passed of {len(cases)} | | " + " | ".join(counts) + " |")
    for status, title in (("failed", "Failed"), ("unsupported", "Not supported by the peer"),
                          ("not run", "Not run")):
        lines += _reasons(outcomes, cases, pairs, status, title)
    return "\n".join(lines) + "\n"


def _reasons(outcomes, cases, pairs, status, title):
    rows = []
    for client, server in pairs:
        by_reason = {}
        for case in cases:
            outcome = outcomes.get((client, server, case.name))
            if outcome is None and status == "not run":
                by_reason.setdefault("not asked for", []).append(case.name)
            elif outcome is not None and outcome.status == status:
                by_reason.setdefault(outcome.message, []).append(case.name)
        for reason, names in by_reason.items():
            reason = reason.replace("|", "\\|").replace("\n", " ")[:300]
            rows.append(f"| {client} → {server} | {', '.join(names)} | {reason} |")
    if not rows:
        return []
    return ["", f"## {title}", "", "| pair | cases | why |", "|---|---|---|", *rows]
