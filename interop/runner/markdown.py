"""interop/matrix.md, from outcomes."""

from runner.cases import COMPLIANCE
from runner.endpoints import control_of

_HEAD = """# The QUIC interop matrix

Made by `interop/matrix --results FILE --markdown interop/matrix.md` on {date}; not written by hand.
The test cases, the network (10 Mbit/s, 30 ms, a queue of 25 packets) and the checks are those of
[quic-interop-runner](https://github.com/quic-interop/quic-interop-runner), made from packet captures
of both sides and the TLS key log. A column is a pair, client → server.

✓ passed · ✗ failed · **✗ peer** failed, and fails as well when gtls plays tern's part (the control) ·
— not supported by the peer · blank: not run. The lists below say why.

HTTP/0.9 (`hq-interop`) is spoken where both sides know it, else HTTP/3: gtls, nginx, haproxy, caddy,
bun, curl and Chromium know HTTP/3 alone. The runner does not look at that.

"""
_SIGNS = {"passed": "✓", "failed": "✗", "unsupported": "—", "not run": ""}


def render(outcomes, cases, pairs, date, note=""):
    """`outcomes`: {(client, server, case name): matrix's Outcome}."""
    lines = [_HEAD.format(date=date)]
    if note:
        lines += [note, ""]
    titles = [f"{client} → {server}" for client, server in pairs]
    lines.append("| case | | " + " | ".join(titles) + " |")
    lines.append("|---|---|" + ":-:|" * len(pairs))
    for case in cases:
        cells = [_cell(outcomes.get((*pair, case.name))) for pair in pairs]
        lines.append(f"| {case.name} | {case.what} | " + " | ".join(cells) + " |")
    counts = []
    for pair in pairs:
        of_pair = [outcomes.get((*pair, case.name)) for case in cases]
        counts.append(str(sum(each is not None and each.status == "passed" for each in of_pair)))
    lines.append(f"| passed of {len(cases)} | | " + " | ".join(counts) + " |")
    lines += _compliance(outcomes)
    lines += _failures(outcomes, cases, pairs)
    lines += _reasons(outcomes, cases, pairs, "unsupported", "Not supported by the peer")
    lines += _reasons(outcomes, cases, pairs, "not run", "Not run")
    lines += _retries(outcomes, cases, pairs)
    return "\n".join(lines) + "\n"


_SECTION = "\n## WebTransport\n"


def render_webtransport(outcomes, cases, date):
    """The section of tern with itself; `outcomes`: a list of matrix's Outcome."""
    lines = [_SECTION, f"The runner's seven WebTransport cases (`interop/matrix --protocol webtransport`), {date}: "
             "five files of 100 KB to 2 MB on streams, 200", "in datagrams, and the protocol that a handshake "
             "agrees on; one QUIC connection in each.", "",
             "| case | | tern → tern |", "|---|---|:-:|"]
    found = {each.case: each for each in outcomes}
    for case in cases:
        outcome = found.get(case.name)
        said = f" {_escape(outcome.message)}" if outcome and outcome.message else ""
        lines.append(f"| {case.name} | {case.what} | {_cell(outcome)}{said} |")
    return "\n".join(lines) + "\n"


def with_section(text, other):
    """`text` with the section of WebTransport that is in `other`, instead of its own."""
    before = text.split(_SECTION)[0]
    return before + (_SECTION + other.split(_SECTION, 1)[1] if _SECTION in other else "")


def _cell(outcome):
    if outcome is None:
        return ""
    if outcome.kbps:
        return outcome.message.removesuffix(" kbit/s")
    if outcome.status == "failed" and outcome.control == "failed":
        return "✗ peer"
    return _SIGNS[outcome.status]


def _escape(text):
    return text.replace("|", "\\|").replace("\n", " ")[:400]


def _table(title, head, rows):
    if not rows:
        return []
    return ["", f"## {title}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|",
            *("| " + " | ".join(map(_escape, row)) + " |" for row in rows)]


def _compliance(outcomes):
    found = [outcomes.get(("tern", "tern", each.name)) for each in COMPLIANCE]
    if any(each is None for each in found):
        return []
    good = all(each.status == "passed" for each in found)
    return ["", "An unknown test case ends with exit code 127, as client and as server: "
            + ("✓." if good else "✗.")]


def _failures(outcomes, cases, pairs):
    rows = []
    for pair in pairs:
        for case in cases:
            outcome = outcomes.get((*pair, case.name))
            if outcome is None or outcome.status != "failed":
                continue
            control = control_of(pair)
            other = outcomes.get((*control, case.name)) if control and outcome.control else None
            shown = "none" if other is None else f"{' → '.join(control)}: {other.status}"
            if other is not None and other.tries > 1:
                shown += f" (try {other.tries})"
            if other is not None and other.message:
                shown += f": {other.message}"
            rows.append((" → ".join(pair), case.name, outcome.message, shown))
    return _table("Failed", ("pair", "case", "why", "control"), rows)


def _reasons(outcomes, cases, pairs, status, title):
    rows = []
    for pair in pairs:
        by_reason = {}
        for case in cases:
            outcome = outcomes.get((*pair, case.name))
            if outcome is None and status == "not run":
                by_reason.setdefault("not asked for", []).append(case.name)
            elif outcome is not None and outcome.status == status:
                by_reason.setdefault(outcome.message, []).append(case.name)
        rows += [(" → ".join(pair), ", ".join(names), reason)
                 for reason, names in by_reason.items()]
    return _table(title, ("pair", "cases", "why"), rows)


def _retries(outcomes, cases, pairs):
    rows = [(" → ".join(pair), case.name, str(outcome.tries)) for pair in pairs for case in cases
            if (outcome := outcomes.get((*pair, case.name))) is not None
            and outcome.status == "passed" and outcome.tries > 1]
    return _table("Passed, but not at once", ("pair", "case", "tries"), rows)
