"""Finds the full-expressions around `co_await` that gcc 12.2 miscompiles.

gcc 12.2 loses, or destroys twice, some temporaries of a full-expression that suspends: braced
aggregates, initializer lists, lambdas that capture by value, what a conditional operator chooses
between; and `co_return` inside a statement expression. Named locals are safe, and so are classes with constructors.
"""

import re

_SUSPENDS = re.compile(r"(?<!operator )\bco_(?:await|yield)\b")
_LAMBDA = re.compile(r"(?:^|[^\w\])\s])\s*\[(?P<captures>[^\[\]]*)\]\s*(?=\(|\{|mutable\b|->)")
_RETURN_CAPTURES = re.compile(r"\b(?:return|co_await|co_return|co_yield)\s*\[(?P<captures>[^\[\]]*)\]\s*[({]")
_BLOCK_KEYWORDS = {"else", "do", "try", "const", "noexcept", "mutable", "override", "final"}
_KEYWORD_PAREN = re.compile(r"\b(?:if|while|switch|for)\s*(?:constexpr\s*)?$")
_TRAILING_TYPE = re.compile(r"(?:[)\]]|\bmutable|\bnoexcept|\bconst)\s*->\s*[\w:<>,\s*&()]+$")
_WINDOW = 400  # how far back the words before a brace are looked at


def _before(code, offset):
    return code[max(0, offset - _WINDOW) : offset].rstrip()


def _opens_block(code, brace):
    """Whether the `{` at `brace` opens a block; otherwise it opens a braced initializer."""
    before = _before(code, brace)
    if re.search(r"\bfor\s*\([^;{}]*:$", before):
        return False
    if not before or (before[-1] in ");{}:]" and not before.endswith("::")):
        return True
    word = re.search(r"(\w+)$", before)
    if word and word.group(1) in _BLOCK_KEYWORDS:
        return True
    return _TRAILING_TYPE.search(before) is not None


def _is_lambda_body(code, brace):
    before = _before(code, brace)
    arrow = _TRAILING_TYPE.search(before)
    if arrow:
        before = before[: before.rindex("->", arrow.start())].rstrip()
    before = re.sub(r"\s*\b(?:mutable|noexcept|const)$", "", before).rstrip()
    if before.endswith(")"):
        depth = 0
        for i in range(len(before) - 1, -1, -1):
            depth += (before[i] == ")") - (before[i] == "(")
            if depth == 0:
                before = before[:i].rstrip()
                break
    return before.endswith("]")


def _statement_start(code, offset):
    """Offset of the first character of the full-expression that holds `offset`."""
    depth = 0
    for i in range(offset - 1, -1, -1):
        c = code[i]
        if c in ")]":
            depth += 1
        elif c == "}":
            after = code[i + 1 : offset + 2].lstrip()[:1]
            if depth == 0 and (after.isalnum() or after in "_({[*&!~-+;}#"):
                return i + 1  # the end of an earlier block
            depth += 1
        elif c in "([":
            if depth:
                depth -= 1
            elif c == "(" and _KEYWORD_PAREN.search(_before(code, i)):
                return i + 1
        elif c == "{":
            if depth:
                depth -= 1
            elif _opens_block(code, i):
                return i + 1
        elif c == ";" and depth == 0:
            return i + 1
    return 0


def _statement_end(code, start, offset):
    """Where the full-expression that starts at `start` and holds `offset` ends."""
    depth = 0
    for i in range(start, len(code)):
        c = code[i]
        if c in "([":
            depth += 1
        elif c == "{":
            if depth == 0 and i > offset and _opens_block(code, i) and not _is_lambda_body(code, i):
                return i
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return i  # `while (co_await x)`, or the end of the block
            depth -= 1
        elif c == ";" and depth == 0:
            return i
    return len(code)


def _without_lambda_bodies(code, start, end, keep):
    """The expression, with the bodies of its lambdas blanked: they are other functions."""
    text = list(code[start:end])
    i = start
    while i < end:
        if code[i] == "{" and _opens_block(code, i):
            depth, j = 0, i
            while j < end:
                depth += (code[j] == "{") - (code[j] == "}")
                if depth == 0:
                    break
                j += 1
            if not i <= keep <= j:
                text[i + 1 - start : j - start] = " " * (j - i - 1)
                i = j
        i += 1
    return "".join(text)


def _captures_by_value(captures):
    return any(
        capture.strip() and capture.strip() != "this" and not capture.strip().startswith("&")
        for capture in captures.split(",")
    )


def _in_statement_expression(code, offset):
    """Whether a `({` encloses `offset` within its own function."""
    depth = 0
    for i in range(offset - 1, -1, -1):
        if code[i] == "}":
            depth += 1
        elif code[i] == "{":
            if depth:
                depth -= 1
            elif _before(code, i).endswith("("):
                return True
            elif _is_lambda_body(code, i):
                return False
    return False


def _braced_defaults(code):
    """Offsets of `= {` or `= T{` among the parameters of functions that return a Task."""
    for match in re.finditer(r"\bTask<", code):
        opening = re.compile(r"[^;{}()=]*\(").match(code, match.end())
        if not opening:
            continue
        depth, i = 1, opening.end()
        while i < len(code) and depth and code[i] != ";":
            depth += (code[i] == "(") - (code[i] == ")")
            if code[i] == "=" and re.match(r"=\s*[\w:<>]*\s*\{", code[i : i + 80]):
                yield i
            i += 1


def risky_awaits(code):
    """Yields (offset, what) for each risky expression of `code`, the text code_only() returns."""
    for match in _SUSPENDS.finditer(code):
        offset = match.start()
        start = _statement_start(code, offset)
        end = _statement_end(code, start, offset)
        text = _without_lambda_bodies(code, start, end, offset)
        if any(not _opens_block(code, start + brace.start()) for brace in re.finditer(r"\{", text)):
            yield offset, "a braced temporary beside co_await"
        if "?" in text:
            yield offset, "a conditional operator beside co_await"
        lambdas = list(_LAMBDA.finditer(text)) + list(_RETURN_CAPTURES.finditer(text))
        if any(_captures_by_value(found.group("captures")) for found in lambdas):
            yield offset, "a lambda that captures by value beside co_await"
    for match in re.finditer(r"\bco_return\b", code):
        if _in_statement_expression(code, match.start()):
            yield match.start(), "co_return inside a statement expression"
    for offset in _braced_defaults(code):
        yield offset, "a braced default argument of a function that returns a Task"
