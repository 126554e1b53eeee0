#!/usr/bin/env python3
"""Shows tidy bad and good snippets: each rule has to find the first and leave the second alone."""

import sys
import unittest

from awaits import risky_awaits
from cpp_text import code_only
from tidy import Tree, check

_TASK_HEADER = "#pragma once\nnamespace tern::http {\n}\n"


def findings(path, text, others=None):
    tree = Tree({"base/bytes.h": "#pragma once\n", "http/x.h": _TASK_HEADER, **(others or {}), path: text})
    return [(line, rule) for found, line, rule, _ in check(tree) if found == path]


class Rules(unittest.TestCase):
    def assert_found(self, rule, path, text, line=1, others=None):
        self.assertIn((line, rule), findings(path, text, others), f"{path}: {text}")

    def assert_clean(self, path, text, others=None):
        self.assertEqual([], findings(path, text, others), f"{path}: {text}")

    def test_rooms(self):
        quic, engine = {"transport/quic/a.h": "#pragma once\n"}, {"transport/engine/a.h": "#pragma once\n"}
        self.assert_found("room", "base/a.cc", '#include "http/x.h"\n')
        self.assert_found("room", "transport/quic/b.cc", '#include "transport/engine/a.h"\n', 1, engine)
        self.assert_found("room", "transport/sim/b.cc", '\n#include "transport/engine/a.h"\n', 2, engine)
        self.assert_found("room", "transport/tls/b.cc", '#include "transport/quic/a.h"\n', 1, quic)
        self.assert_found("room", "http/a.cc", '#include "gateway/a.h"\n', 1, {"gateway/a.h": "#pragma once\n"})
        self.assert_found("include", "http/a.cc", '#include "x.h"\n')
        proto = {"tests/x.proto": ""}
        self.assert_clean("tests/a.cc", '#include "x.tern.h"\n#include "x.pb.h"\n', proto)
        self.assert_found("include", "tests/a.cc", '#include "y.tern.h"\n', 1, proto)
        self.assert_clean("transport/engine/b.cc", '#include "transport/quic/a.h"\n', quic)
        self.assert_clean("http3/a.cc", '#include "http/x.h"\n#include "base/bytes.h"\n#include <vector>\n')
        self.assert_clean("http/a.cc", '// #include "gateway/a.h"\n')

    def test_first_include(self):
        self.assert_found("first include", "http/x.cc", '#include <vector>\n#include "http/x.h"\n')
        self.assert_found("first include", "http/x.cc", "int x;\n")
        self.assert_clean("http/x.cc", '// what it does\n#include "http/x.h"\n#include <vector>\n')
        self.assert_clean("http/y.cc", "#include <vector>\n")

    def test_fixed_width(self):
        self.assert_found("std include", "tests/a.h", "#pragma once\n#include <string>\nstd::uint8_t x;\n", 3)

    def test_third_party(self):
        self.assert_found("third party", "http/a.cc", "#include <openssl/ssl.h>\n")
        self.assert_found("third party", "http3/a.cc", "#include <ngtcp2/ngtcp2.h>\n")
        self.assert_found("third party", "gateway/a.cc", "#include <CLI/CLI.hpp>\n")
        self.assert_found("third party", "base/a.cc", "#include <gtest/gtest.h>\n")
        self.assert_found("third party", "base/a.cc", "#include <boost/asio.hpp>\n")
        self.assert_found("third party", "base/a.cc", "#include <curl/curl.h>\n")
        self.assert_clean("base/a.cc", "#include <fmt/format.h>\n#include <sys/socket.h>\n#include <time.h>\n")
        self.assert_clean("transport/quic/ngtcp2_bridge.cc", "#include <ngtcp2/ngtcp2.h>\n")

    def test_public_headers(self):
        cmake = {"http3/CMakeLists.txt": "tern_library(http3\n  SOURCES b.cc HEADERS a.h\n PRIVATE x)\n",
                 "http3/inner.h": "#pragma once\n"}
        self.assert_found("third party", "http3/a.h", "#pragma once\n#include <nghttp3/nghttp3.h>\n", 2, cmake)
        self.assert_found("public header", "http3/a.h", '#pragma once\n#include "http3/inner.h"\n', 2, cmake)
        self.assert_clean("http3/bridge.h", '#pragma once\n#include <nghttp3/nghttp3.h>\n', cmake)
        self.assert_found("pragma once", "http3/a.h", "#include <vector>\n", 1, cmake)

    def test_words(self):
        for rule, text in (
            ("clock", "auto t = std::chrono::steady_clock::now();"),
            ("clock", "auto t = system_clock::now();"),
            ("sleep", "std::this_thread::sleep_for(1s);"),
            ("sleep", "usleep(10);"),
            ("sleep", "sleep(1);"),
            ("random", "std::random_device device;"),
            ("random", "int n = std::rand();"),
            ("random", "int n = rand() % 6;"),
            ("assert", "assert(x);"),
            ("get_", "int get_size() const;"),
            ("stderr", 'fmt::print(stderr, "{}", text);'),
            ("std name", "std::string quoted(std::string_view text) {"),
        ):
            self.assert_found(rule, "http/a.cc", text + "\n")
            self.assert_clean("http/a.cc", f"// {text}\n")
        self.assert_found("skipped test", "tests/unit/http/a_test.cc", "TEST(A, DISABLED_B) {}\n")
        self.assert_found("skipped test", "tests/unit/http/a_test.cc", "\nGTEST_SKIP();\n", 2)
        self.assert_found("sleep", "tests/unit/http/a_test.cc", "::usleep(1);\n")
        self.assert_found("unfinished", "http/a.cc", "// TO" "DO: the rest\n")
        self.assert_found("unfinished", "cmake/a.cmake", "# FIX" "ME\n")
        self.assert_found("machine path", "docs/a.md", "see /wo" "rk/shared/x\n")
        self.assert_found("host", "tools/a.sh", "curl https://registry.npm" "js.org/x\n")
        self.assert_found("host", "docs/a.md", "http://deb.deb" "ian.org/debian\n")
        self.assert_clean("transport/engine/clock.cc", "auto t = steady_clock::now();\n")
        self.assert_clean("http/a.cc", "static_assert(true);\nruntime.sleep(5);\nTask<> sleep(Duration d);\n")
        self.assert_clean("http/a.cc", "Task<T> get_return_object();\nget_if<A>(&b);\nngtcp2_conn_get_x();\n")
        self.assert_clean("http/a.cc", 'char c = \'"\'; auto s = "usleep(1)"; auto r = R"x(rand())x"; int i = 1\'000;\n')

    def test_std_includes(self):
        has = {"http/x.h": "#pragma once\n#include <vector>\n", "http/y.h": '#pragma once\n#include "http/x.h"\n'}
        for header, text in (
            ("vector", "std::vector<int> a;"),
            ("algorithm", "int a = std::max(b, c);"),
            ("cstdint", "std::uint8_t a = 0;"),
            ("functional", "template <> struct std::hash<A> {};"),
            ("string", "std::string a;"),
            ("utility", "f(std::move(a));"),
        ):
            self.assert_found("std include", "base/a.h", f"#pragma once\n{text}\n", 2)
            self.assert_clean("base/a.h", f"#pragma once\n#include <{header}>\n{text}\n")
        self.assert_clean("http/a.cc", '#include "http/y.h"\nstd::vector<int> a;\n', has)
        self.assert_found("std include", "http/a.cc", '#include "http/y.h"\nstd::string a;\n', 2, has)
        self.assert_clean("http/a.cc", '#include <string>\nstd::string_view a = f(std::move(b));\n')

    def test_files(self):
        self.assert_found("name", "http/http_utils.cc", "\n")
        self.assert_found("name", "base/common/a.cc", "\n")
        self.assert_found("name", "http/session_manager.h", "#pragma once\n")
        self.assert_found("name", "http/Session.h", "#pragma once\n")
        self.assert_found("length", "http/a.cc", "\n" * 801, 801)
        self.assert_found("namespace", "http/a.cc", "namespace tern::quic {\n}\n")
        self.assert_clean("http/a.cc", "\n" * 800)
        self.assert_clean("http/a.cc", "namespace tern::http {\nnamespace {\n}\n}\n")

    def test_headings(self):
        long = "// ---- what comes in " + "-" * 78
        self.assert_clean("base/a.cc", f"{long}\n\n// ---- a - b {'-' * 86}\n  // ---- in a class\n// a -- b\n")
        for text in ("// ---- what comes in\n", long[:-1] + "\n", long + "-\n", "// " + "-" * 97 + "\n",
                     "// ----- what comes in " + "-" * 77 + "\n", "  // ---- in a class ----\n"):
            self.assert_found("heading", "base/a.cc", "\n" + text, 2)

    def test_allowances(self):
        self.assert_clean("http/a.cc", "usleep(1);  // tidy: allow(sleep) because the kernel wants it\n")
        self.assert_clean("http/a.cc", "// tidy: allow(sleep) because the kernel wants it\nusleep(1);\n")
        self.assert_found("allow", "http/a.cc", "usleep(1);  // tidy: allow(sleep)\n")
        self.assert_found("sleep", "http/a.cc", "usleep(1);  // tidy: allow(clock) because of a reason\n")


class Awaits(unittest.TestCase):
    def lines(self, text):
        code = code_only(text)
        return sorted({code.count("\n", 0, offset) + 1 for offset, _ in risky_awaits(code)})

    def test_risky(self):
        for text in (
            "auto x = co_await f(Options{1, 2});",
            "co_await f({});",
            "co_await f(a, {1, 2});",
            "auto x = T{co_await f()};",
            "return_to(co_await f(), Options{\n  name});",
            "co_await f([x] { return x; });",
            "co_await f(a, [x = std::move(y)](int n) { return n; });",
            "co_await f([=]() -> int { return x; });",
            "co_await f([&, x] { return x; });",
            "for (auto n : {1, 2, co_await f()}) {}",
            "if (co_await f(Key{1})) { g(); }",
            "while (auto d = co_await s.next(Opts{})) { g(d); }",
            "g(Options{}, co_await f());",
            "co_yield f(Options{1});",
            "auto x = ({ auto r = f(); if (!r) co_return r.error(); *r; });",
            "Task<int> f(int a, Options options = {});",
            "Task<int> f(int a, Options options = Options{});",
            "co_await std::vector<int>{1, 2};",
            "co_await f(a, b ? T() : std::move(c));",
            "Task<void> f() { if (x) { g(); } co_await h(T{1}); }",
        ):
            self.assertEqual([1], self.lines(text), text)

    def test_fine(self):
        for text in (
            "auto x = co_await f(Options().delay(5));",
            "Options o{1}; auto x = co_await f(o);",
            "if (co_await f()) { T t{1}; }",
            "if (auto r = co_await f(); !r) { g(T{1}); }",
            "while (auto d = co_await s.next()) s.send(T{1});",
            "Task<void> f() { co_await g(); }",
            "Task<void> f() override { co_await g(); }",
            "auto f() -> Task<void> { co_await g(); }",
            "auto f = [&]() -> Task<void> { co_await g(); };",
            "spawn([x]() -> Task<void> { co_await g(); }());",
            "spawn([](int n) -> Task<void> {\n  T t{1};\n  co_await g();\n  co_return;\n}(3));",
            "co_await f([&] { return T{x}; });",
            "co_await f([this, &x] { return x; });",
            "co_await f(a[i], b[j](1));",
            "auto b = a ? T() : U(); co_await f(b);",
            "co_await f([&] { return x ? T() : U(); });",
            "switch (x) { case 1: co_await f(); break; default: co_await g(); }",
            "namespace a { struct S { int x{1}; Task<void> f() const { co_await g(); } }; }",
            "T t{1};\nco_await f();\nU u{2};",
            "do { co_await f(); } while (x);",
            "try { co_await f(); } catch (const E& e) { g(T{1}); }",
            "auto operator co_await() && noexcept { return Awaiter{handle_}; }",
            "Task<int> f(int a, Options options = Options());",
            "co_return T{1};",
            "for (int i = 0; i < 3; ++i) { co_await f(); }",
            "// co_await f({});",
            "EXPECT_EQ(co_await f(), 3);",
            "struct A { int x = 0; };\nTask<void> f(A a) { co_await g(a); }",
            "static constexpr int kX[] = {1, 2};\nTask<void> f() { co_await g(kX[0]); }",
        ):
            self.assertEqual([], self.lines(text), text)

    def test_every_line_is_named(self):
        self.assertEqual([2, 4], self.lines("a();\nco_await f({});\nT t{1};\nco_await f(T{2});\n"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v" if "-v" in sys.argv else "-q"])
