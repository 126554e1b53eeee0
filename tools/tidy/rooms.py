"""Who may know whom: the room table of docs/ARCHITECTURE.md, as data."""

import re

# room -> the rooms whose headers it may include, besides its own. Longest folder name wins.
_TRANSPORT = [
    "transport/udp", "transport/tcp", "transport/tls", "transport/quic", "transport/engine", "transport/sim",
]
_ASSEMBLED = ["base", *_TRANSPORT, "http", "http/fallback", "http3", "webtransport", "rpc", "gateway"]
SEES = {
    "base": [],
    "transport/udp": ["base"],
    "transport/tcp": ["base", "transport/udp"],
    "transport/tls": ["base", "transport/udp", "transport/tcp"],
    "transport/quic": ["base", "transport/udp", "transport/tls"],
    "transport/engine": ["base", "transport/udp", "transport/tcp", "transport/tls", "transport/quic"],
    "transport/sim": ["base", "transport/udp", "transport/tcp", "transport/tls", "transport/quic"],
    "http": ["base", *_TRANSPORT],
    "http/fallback": ["base", *_TRANSPORT, "http"],
    "http3": ["base", *_TRANSPORT, "http"],
    "webtransport": ["base", *_TRANSPORT, "http", "http/fallback", "http3"],
    "rpc": ["base", *_TRANSPORT, "http"],
    "gateway": ["base", *_TRANSPORT, "http", "http/fallback", "http3", "webtransport", "rpc"],
    "examples/chat": _ASSEMBLED,  # `tern serve` shows it
    "tools": [*_ASSEMBLED, "examples/chat"],
    "interop": _ASSEMBLED,
    "examples": _ASSEMBLED,
    "tests": [*_ASSEMBLED, "tools", "examples/chat"],
}

# include prefix -> (folders that may include it, whether public headers may as well)
THIRD_PARTY = {
    "tl/expected.hpp": ([""], True),
    "fmt/": ([""], True),
    "ngtcp2/": (["transport/quic"], False),
    "openssl/": (["transport/tls", "transport/quic"], False),
    "intel-ipsec-mb.h": (["transport/tls"], False),
    "liburing": (["transport/engine"], False),
    "nghttp3/": (["http3"], False),
    "nghttp2/": (["http/fallback"], False),
    "wslay/": (["http"], False),
    "libpsl.h": (["http"], False),
    "boost/": (["http/fallback"], False),
    "zlib.h": (["http", "rpc"], False),
    "brotli/": (["http", "rpc"], False),
    "zstd.h": (["http", "rpc", "transport/quic"], False),
    "google/protobuf/": (["rpc", "tools/tern"], True),
    "grpcpp/": (["tools/bench/rpc", "interop/drivers"], False),  # programs of their own
    "CLI/": (["tools"], True),
    "toml++/": (["tools"], False),
    "benchmark/": (["tools/bench"], True),
    "gtest/": ([], True),
    "gmock/": ([], True),
}

# The namespace of each room; its files open this one, or one inside it.
NAMESPACE = {
    "base": "tern",
    "gateway": "tern",
    **{room: "tern::" + room.split("/")[-1] for room in [*_TRANSPORT, "http", "http/fallback", "http3"]},
    "webtransport": "tern::webtransport",
    "rpc": "tern::rpc",
}

# Headers of the C and C++ libraries and of Linux: not third-party.
SYSTEM = re.compile(
    r"^[a-z_0-9]+$"
    r"|^(?:sys|net|netinet|netpacket|arpa|linux|asm|asm-generic|bits|sanitizer|valgrind)/"
    r"|^(?:assert|complex|ctype|dirent|dlfcn|elf|endian|errno|execinfo|fcntl|fenv|fnmatch|getopt|glob"
    r"|grp|ifaddrs|inttypes|libgen|limits|link|locale|malloc|math|netdb|poll|pthread|pwd|sched"
    r"|semaphore|setjmp|signal|spawn|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|syscall"
    r"|resolv|termios|time|ucontext|unistd|wchar|cxxabi|immintrin|x86intrin|byteswap|alloca)\.h$"
)


def room_of(path):
    """The room of a repository path, or None for a file outside the rooms."""
    return max((r for r in SEES if path.startswith(r + "/")), key=len, default=None)


def within(path, folders):
    return any(folder == "" or path == folder or path.startswith(folder + "/") for folder in folders)
