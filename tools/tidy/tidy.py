#!/usr/bin/env python3
"""The rules of the code base that no compiler checks: tidy.py [ROOT]

Prints one line a finding, `file:line: rule: what to do`, and exits 1 when there are any. A line that
has to break a rule says so, on itself or on the line above: `// tidy: allow(rule) because …`.
self_test.py proves that each rule finds what it is for.
"""

import pathlib
import re
import subprocess
import sys

from awaits import risky_awaits
from cpp_text import code_only, line_of
from rooms import NAMESPACE, SEES, SYSTEM, THIRD_PARTY, room_of, within
from std_includes import StdIncludes

MAX_LINES = 800
COLUMNS = 100  # as in .clang-format
CPP = (".h", ".cc")
CODE = (*CPP, ".py", ".sh", ".cmake", ".js", ".mjs", ".html", ".css")

# Written in pieces, so that this file does not hold what it looks for.
_HOSTS = r"(?:deb|security|snapshot|ftp\.\w+)\.deb" r"ian\.org|registry\.(?:npmjs|yarnpkg)\.(?:org|com)|pypi\.(?:org)|proxy\.golang\.org"
_MACHINE_PATHS = r"(?<![\w.$}])/(?:wo" r"rk|ho" r"me/\w+|ro" r"ot)/"
_UNFINISHED = r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b"

# (rule, pattern, folders it is allowed in, what to do); matched in code without comments and strings.
_CODE_RULES = [
    ("clock", r"\b(?:steady_clock|system_clock|high_resolution_clock)::now\b|\bclock_gettime\s*\(|\bgettimeofday\s*\(",
     ["transport/engine", "tools"], "take `now` from the runtime or as a parameter"),
    ("sleep", r"\bthis_thread::sleep_\w+|\b(?:usleep|nanosleep)\s*\(|(?<![\w.>:])sleep\s*\(\s*\d|(?<!\w)::sleep\s*\(",
     ["transport/engine", "tools"], "wait on a runtime timer"),
    ("random", r"\brandom_device\b|\bstd::rand\b|(?<![\w.:>])(?:rand\s*\(\s*\)|srand\s*\()|\bgetrandom\s*\(|\bgetentropy\s*\(|\barc4random\w*\s*\(",
     ["transport/engine", "tools"], "take randomness from the runtime's seeded generator"),
    ("assert", r"(?<![\w.:>])assert\s*\(", [], "use TERN_CHECK, which stays on in release builds"),
    ("skipped test", r"\bGTEST_SKIP\b|\bDISABLED_\w+", [], "a test runs, or it does not exist"),
    ("get_", r"(?<![\w:.>])get_(?!if\b|id\b|time\b|money\b|deleter\b|allocator\b|return_object)\w+\s*\(",
     ["tests", "tools"], "name the thing itself, without `get_`"),  # there, GET is often meant
    ("stderr", r"\bfmt::print\s*\(\s*stderr\b", ["tools/bench"], "use cli::tell: fmt::print throws when nobody reads stderr"),
    # <chrono> includes <iomanip> from gcc 13 on, and argument-dependent lookup finds what is there.
    ("std name", r"(?m)^[A-Za-z][\w:<>,&* ]* quoted\s*\(", [],
     "a free function of this name is std::quoted to Debian 13's compiler: take another"),
]

_BAD_NAME = re.compile(r"(?:^|[_/])(?:utils?|common|managers?|helpers?|misc)(?:[_./]|$)")


class Tree:
    """The files of the project by path, and which headers are public."""

    def __init__(self, files):
        self.files = files
        self.codes = {path: code_only(text) for path, text in files.items() if path.endswith(CPP)}
        self.std_includes = StdIncludes(self.codes)
        self.public_headers = set()
        for path, text in files.items():
            if path.endswith("CMakeLists.txt"):
                folder = path[: -len("CMakeLists.txt")]
                text = re.sub(r"#.*", "", text)
                for call in re.finditer(r"\btern_library\s*\(([^)]*)\)", text):
                    words = call.group(1).split()
                    section = ""
                    for word in words:
                        if word.isupper() and "." not in word:
                            section = word
                        elif section == "HEADERS":
                            self.public_headers.add(folder + word)


def check(tree):
    """Yields (path, line, rule, what to do) for the whole tree."""
    for path in sorted(tree.files):
        text = tree.files[path]
        allowed = _allowances(text)
        for line, rule, advice in _check_file(path, text, tree):
            if (line, rule) not in allowed:
                yield path, line, rule, advice
        if path.endswith(CPP):
            for line, rule in _unexplained(text):
                yield path, line, "allow", f"say why {rule} is allowed here"


def _allowances(text):
    allowed = set()
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(r"tidy: allow\(([\w ]+)\)", line)
        if match:
            allowed |= {(number, match.group(1)), (number + 1, match.group(1))}
    return allowed


def _unexplained(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(r"tidy: allow\(([\w ]+)\)(.*)", line)
        if match and len(match.group(2).split()) < 3:
            yield number, match.group(1)


def _check_file(path, text, tree):
    yield from _check_name(path)
    yield from _check_words(path, text)
    if path.endswith(CODE) and text.count("\n") > MAX_LINES:
        yield MAX_LINES + 1, "length", f"past {MAX_LINES} lines there are two ideas in one file: split it"
    if not path.endswith(CPP):
        return
    code = tree.codes[path]
    if path.endswith(".h") and not re.match(r"\s*#pragma once\b", code):
        yield 1, "pragma once", "start the header with #pragma once"
    for offset, header in tree.std_includes.missing(path):
        yield line_of(code, offset), "std include", f"include <{header}>: nothing that is included here does"
    yield from _check_includes(path, code, tree)
    yield from _check_namespace(path, code)
    yield from _check_headings(text)
    for rule, pattern, folders, advice in _CODE_RULES:
        # A bridge names its callbacks as the C library names them.
        if not within(path, folders) and not (rule == "get_" and path.endswith("_bridge.cc")):
            for match in re.finditer(pattern, code):
                yield line_of(code, match.start()), rule, advice
    for offset, what in risky_awaits(code):
        yield line_of(code, offset), "co_await", f"{what}: give it a name first (gcc 12)"


def _check_name(path):
    if _BAD_NAME.search(path):
        yield 1, "name", "say what is in it; not utils, common, manager or helper"
    if path.endswith(CPP) and not re.fullmatch(r"[a-z0-9_]+\.\w+", path.split("/")[-1]):
        yield 1, "name", "file names are snake_case"


def _check_headings(text):
    """`// ---- title`: in a class as it is, else with dashes up to the last column. What is longer
    clang-format breaks over two lines."""
    for number, line in enumerate(text.splitlines(), 1):
        if not re.match(r" *// -{4,}", line):
            continue
        if line.startswith(" "):
            fine = re.fullmatch(r" +// ---- \S(?:.*[^\s-])?", line)
        else:
            fine = len(line) == COLUMNS and re.fullmatch(r"// ---- \S(?:.*\S)? -+", line)
        if not fine:
            yield number, "heading", f"// ---- title, and at the left margin dashes up to column {COLUMNS}"


def _check_words(path, text):
    for rule, pattern, advice in (
        ("unfinished", _UNFINISHED, "finish it, or write it in the issue tracker"),
        ("machine path", _MACHINE_PATHS, "no path of one machine"),
        ("host", _HOSTS, "no registry host: derive it from the machine's own configuration"),
    ):
        for match in re.finditer(pattern, text):
            yield line_of(text, match.start()), rule, advice


def _check_includes(path, code, tree):
    yield from _check_first_include(path, code, tree)
    room = room_of(path)
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', code, re.MULTILINE):
        line, quote, header = line_of(code, match.start()), match.group(1), match.group(2)
        if quote == '"':
            yield from _check_own_include(path, room, line, header, tree)
        else:
            yield from _check_foreign_include(path, line, header, tree)


def _check_first_include(path, code, tree):
    """What is included first includes all it needs, or the file does not compile."""
    own = path[: -len(".cc")] + ".h"
    if not path.endswith(".cc") or own not in tree.files:
        return
    first = re.search(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)', code, re.MULTILINE)
    if first is None or first.group(1) != own:
        yield line_of(code, first.start()) if first else 1, "first include", f'include "{own}" before all else'


def _check_own_include(path, room, line, header, tree):
    if _is_generated(header, tree):
        return
    if header not in tree.files:
        yield line, "include", f'"{header}" is no file of the repository: include from its root'
        return
    target = room_of(header)
    if room and target and target != room and target not in SEES[room]:
        yield line, "room", f"{room} may not know {target} (docs/ARCHITECTURE.md, rooms)"
    if path in tree.public_headers and header not in tree.public_headers:
        yield line, "public header", f'"{header}" is not among the HEADERS of its room'


def _is_generated(header, tree):
    """What tern_generate makes of a .proto of the repository."""
    base = re.fullmatch(r"(.+?)\.(?:grpc\.pb|pb|tern)\.h", header)
    return base is not None and any(
        path == base[1] + ".proto" or path.endswith("/" + base[1] + ".proto") for path in tree.files
    )


def _check_foreign_include(path, line, header, tree):
    if SYSTEM.match(header) and not header.startswith("liburing"):
        return
    for prefix, (folders, in_public) in THIRD_PARTY.items():
        if header.startswith(prefix):
            # Tests look at the wire with whatever library reads it best.
            if not within(path, folders) and not path.startswith("tests/"):
                owners = ", ".join(folders) or "tests"
                yield line, "third party", f"<{header}> belongs to {owners} alone"
            elif not in_public and path in tree.public_headers:
                yield line, "third party", f"<{header}> stays out of public headers"
            return
    yield line, "third party", f"<{header}> is in no room: add it to tools/tidy/rooms.py and decide"


def _check_namespace(path, code):
    room = room_of(path)
    if room not in NAMESPACE:
        return
    opened = re.findall(r"^\s*(?:inline )?namespace ([\w:]+) \{", code, re.MULTILINE)
    expected = NAMESPACE[room]
    if opened and not any((name + "::").startswith(expected + "::") for name in opened):
        yield 1, "namespace", f"files of {room} open namespace {expected}"


def read_tree(root):
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=True, text=True,
    ).stdout.split("\0")
    files = {}
    for path in filter(None, listed):
        file = pathlib.Path(root, path)
        if not file.is_file() or "/corpus/" in path:
            continue
        data = file.read_bytes()
        if b"\0" not in data[:8192]:
            files[path] = data.decode("utf-8", errors="replace")
    return Tree(files)


def main(arguments):
    root = arguments[0] if arguments else str(pathlib.Path(__file__).resolve().parents[2])
    tree = read_tree(root)
    findings = list(check(tree))
    for path, line, rule, advice in findings:
        print(f"{path}:{line}: {rule}: {advice}")
    print(f"tidy: {len(tree.files)} files, {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
