"""C++ source with its comments and literals blanked, so that rules see code and nothing else."""

import re

_TOKEN = re.compile(
    r"""
      (?P<line>//(?:[^\\\n]|\\.)*)
    | (?P<block>/\*.*?\*/)
    | (?P<raw>(?:u8|[uUL])?R"(?P<delim>[^()\\\s]{0,16})\(.*?\)(?P=delim)")
    | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*")
    | (?P<number>(?<![\w.])\d(?:'?[\w.])*)
    | (?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+')
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """`text` with comments blanked and literals emptied; every offset and line stays where it was."""

    def replace(match):
        kind = match.lastgroup if match.lastgroup != "delim" else "raw"
        found = match.group(0)
        if kind == "number":
            return found
        if kind in ("line", "block"):
            return _blank(found)
        quote = '"' if kind in ("raw", "string") else "'"
        if kind == "string" and _in_include(text, match.start()):
            return found
        return quote + _blank(found[1:-1]) + quote

    return _TOKEN.sub(replace, text)


def _in_include(text, offset):
    start = text.rfind("\n", 0, offset) + 1
    return re.match(r"\s*#\s*include\b", text[start:offset]) is not None


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
