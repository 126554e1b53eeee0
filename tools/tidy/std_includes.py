"""Finds names of the standard library whose header a file does not reach.

The headers that the build precompiles (cmake/tern.cmake) are in every file, so that no compiler misses them. A build without
precompiled headers would, and so would whoever includes a public header.
"""

import re

_ALGORITHMS = (
    "adjacent_find all_of any_of binary_search clamp copy copy_if copy_n count count_if equal equal_range fill fill_n find find_end "
    "find_first_of find_if find_if_not for_each generate includes is_sorted lexicographical_compare lower_bound max max_element "
    "merge min min_element minmax mismatch move_backward none_of nth_element partial_sort partition remove remove_if replace "
    "reverse rotate search set_difference set_intersection shuffle sort stable_partition stable_sort transform unique upper_bound"
)
# header -> the names it is for, after `std::`
_NAMES = {
    "algorithm": rf"(?:ranges::)?(?:{'|'.join(_ALGORITHMS.split())})\s*\(",
    "array": r"array\s*[<{(]",
    "charconv": r"(?:from_chars|to_chars)\b",
    "chrono": r"chrono::",
    "coroutine": r"(?:coroutine_handle|suspend_(?:always|never)|noop_coroutine)\b",
    "cstdint": r"u?int(?:8|16|32|64|ptr|max)_t\b",
    "cstdio": r"(?:FILE|f(?:open|close|read|write|puts|printf|flush|gets|seek)|puts|printf|snprintf|perror|remove\s*\(\s*\w+\.c_str)\b",
    "cstring": r"(?:mem(?:cpy|cmp|move|set|chr)|str(?:len|cmp|ncmp|chr|rchr|error|signal))\b",
    "deque": r"deque\s*<",
    "functional": r"(?:function|hash|less|greater|reference_wrapper|bind_front|invoke)\s*[<(]",
    "map": r"(?:multi)?map\s*<",
    "memory": r"(?:unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|enable_shared_from_this|static_pointer_cast)\b",
    "mutex": r"(?:mutex|lock_guard|unique_lock|scoped_lock|call_once|once_flag)\b",
    "optional": r"(?:optional\s*<|nullopt\b|make_optional\b)",
    "set": r"(?:multi)?set\s*<",
    "span": r"span\s*<",
    "stdexcept": r"(?:runtime_error|logic_error|invalid_argument|out_of_range|domain_error|length_error)\b",
    "string": r"(?:string|to_string|sto(?:i|l|ul|ll|ull|d))\b",
    "string_view": r"string_view\b",
    "unordered_map": r"unordered_(?:multi)?map\s*<",
    "utility": r"(?:move|forward|exchange|swap|pair|make_pair|in_place|declval|as_const|index_sequence)\b",
    "variant": r"(?:variant\s*<|visit\b|get_if\b|holds_alternative\b|monostate\b)",
    "vector": r"vector\s*<",
}
_PATTERNS = {header: re.compile(rf"\bstd::{names}") for header, names in _NAMES.items()}
# What a header has of others', by the standard or in every library there is.
_GIVES = {
    "string": {"string_view", "utility"},
    **{
        header: {"utility"}
        for header in (
            "algorithm array chrono deque functional list map memory mutex optional set span string_view tuple unordered_map "
            "unordered_set variant vector thread queue"
        ).split()
    },
    "cinttypes": {"cstdint"},
    "stdexcept": {"string", "string_view", "utility"},
    "sstream": {"string", "string_view", "utility"},
    "fstream": {"string", "string_view", "utility"},
    "iostream": {"string", "string_view", "utility"},
    "filesystem": {"string", "string_view", "utility", "chrono"},
    "regex": {"string", "string_view", "utility", "vector"},
    "condition_variable": {"mutex", "chrono"},
    "thread": {"chrono", "utility"},
    "random": {"utility"},
}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


class StdIncludes:
    """Which standard headers each file of the tree reaches; `codes`: path -> its code_only() text."""

    def __init__(self, codes):
        self._codes = codes
        self._reached = {}

    def missing(self, path):
        """Yields (offset, header)."""
        reached = self._reach(path, set())
        for header, pattern in _PATTERNS.items():
            if header not in reached:
                found = pattern.search(self._codes[path])
                if found:
                    yield found.start(), header

    def _reach(self, path, on_the_way):
        if path in self._reached:
            return self._reached[path]
        if path in on_the_way:
            return set()
        reached = set()
        for match in _INCLUDE.finditer(self._codes.get(path, "")):
            if match[1] == '"':
                reached |= self._reach(match[2], on_the_way | {path})
            else:
                reached |= {match[2]} | _GIVES.get(match[2], set())
        self._reached[path] = reached
        return reached
