#include "http/static_files.h"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/beneath.h"
#include "http/embedded_files.h"
#include "http/representation.h"
#include "http/router.h"
#include "tests/unit/http/recording_carrier.h"
#include "tests/unit/temporary_folder.h"

namespace tern::http {
namespace {

namespace fs = std::filesystem;
using test::answer;
using test::get;
using test::RecordingCarrier;
using test::request;
using test::with;
using test::World;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr UnixSeconds kFileModified = 784111777 - 3600;  // an hour before the world's first second
constexpr const char* kModifiedText = "Sun, 06 Nov 1994 07:49:37 GMT";

class Files : public ::testing::Test {
 protected:
  Files() {
    top = scratch.path();
    root = top / "root";
    fs::create_directory(root);
  }

  void write(const fs::path& path, std::string_view text, UnixSeconds modified = kFileModified) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path, std::ios::binary) << text;
    touch(path, modified);
  }
  void touch(const fs::path& path, UnixSeconds modified) {
    const timespec times[2] = {{modified, 0}, {modified, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root / path).c_str(), times, 0), 0);
  }
  void serve(StaticFilesOptions options = StaticFilesOptions()) {
    Result<StaticFiles> files = StaticFiles::open(root, std::move(options));
    ASSERT_TRUE(files) << files.error().to_string();
    handler = *std::move(files);
  }
  std::unique_ptr<RecordingCarrier> ask(RequestHead head) {
    if (!handler) serve();
    return answer(world, handler, std::move(head));
  }
  std::unique_ptr<RecordingCarrier> ask(std::string_view path) { return ask(get(path)); }
  /// The body of a 200, otherwise the status.
  std::string text(std::string_view path) {
    const auto sent = ask(path);
    return sent->status == 200 ? sent->body : std::to_string(sent->status);
  }

  World world;
  tern::test::TemporaryFolder scratch;
  fs::path top;
  fs::path root;
  Handler handler;
};

TEST_F(Files, ServesAFile) {
  write("a.txt", "hello world\n");
  const auto sent = ask("/a.txt?v=1");
  EXPECT_EQ(sent->status, 200);
  EXPECT_EQ(sent->body, "hello world\n");
  EXPECT_EQ(sent->field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(sent->field("content-length"), "12");
  EXPECT_EQ(sent->field("last-modified"), kModifiedText);
  EXPECT_EQ(sent->field("accept-ranges"), "bytes");
  EXPECT_THAT(std::string(sent->field("etag")), MatchesRegex("\"[0-9a-f]+-c\""));
  EXPECT_EQ(sent->field("vary"), "(none)");
  EXPECT_TRUE(sent->ended);
}

TEST_F(Files, HeadHasTheSameHead) {
  write("small.txt", "hello");
  write("large.bin", std::string(3'000'000, 'x'));
  for (const char* path : {"/small.txt", "/large.bin"}) {
    const auto whole = ask(path);
    const auto head = ask(request("HEAD", path));
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->body, "");
    EXPECT_TRUE(head->ended);
    EXPECT_EQ(head->fields.size(), whole->fields.size());
    for (const Field field : whole->fields) EXPECT_EQ(head->field(field.name), field.value);
  }
}

TEST_F(Files, OtherMethodsAreRefused) {
  write("a.txt", "x");
  for (const char* method : {"POST", "PUT", "DELETE", "TRACE"}) {
    const auto sent = ask(request(method, "/a.txt"));
    EXPECT_EQ(sent->status, 405);
    EXPECT_EQ(sent->field("allow"), "GET, HEAD, OPTIONS");
  }
  EXPECT_EQ(ask(request("OPTIONS", "/a.txt"))->status, 204);
}

TEST_F(Files, IndexAndRedirect) {
  write("index.html", "home");
  write("sub/index.html", "sub");
  write("empty/x.txt", "x");
  EXPECT_EQ(text("/"), "home");
  EXPECT_EQ(text("/sub/"), "sub");
  EXPECT_EQ(ask("/")->field("content-type"), "text/html; charset=utf-8");
  const auto redirect = ask("/sub?a=b");
  EXPECT_EQ(redirect->status, 308);
  EXPECT_EQ(redirect->field("location"), "/sub/?a=b");
  EXPECT_EQ(ask("/sub?a=%41\n\xff?")->field("location"), "/sub/?a=%41%0A%FF?");
  EXPECT_EQ(text("/empty/"), "404");
  EXPECT_EQ(text("/index.html/"), "404");
  EXPECT_EQ(text("/absent/"), "404");
}

TEST_F(Files, BelowAMount) {
  write("a.txt", "mounted");
  write("sub/index.html", "sub");
  Result<StaticFiles> files = StaticFiles::open(root);
  ASSERT_TRUE(files);
  Router router;
  router.mount("/files", *files);
  handler = router;
  EXPECT_EQ(text("/files/a.txt"), "mounted");
  EXPECT_EQ(ask("/files")->field("location"), "/files/");
  EXPECT_EQ(ask("/files/sub?q")->field("location"), "/files/sub/?q");
  EXPECT_EQ(text("/files/sub/"), "sub");
  EXPECT_EQ(text("/a.txt"), "404");
}

TEST_F(Files, NamesArePercentDecodedOnce) {
  write("a b+c.txt", "blank");
  write("100%25.txt", "percent");
  write("\xc3\xa4.txt", "umlaut");
  write("back\\slash", "backslash");
  EXPECT_EQ(text("/a%20b+c.txt"), "blank");
  EXPECT_EQ(text("/100%2525.txt"), "percent");
  EXPECT_EQ(text("/100%25.txt"), "404");
  EXPECT_EQ(text("/%C3%a4.txt"), "umlaut");
  EXPECT_EQ(text("/back%5Cslash"), "backslash");
  EXPECT_EQ(text("/%61%20b%2bc.txt"), "blank");
}

TEST_F(Files, NoPathLeavesTheRoot) {
  std::ofstream(top / "secret.txt") << "secret";
  write("a/b.txt", "inside");
  for (const char* path : {"/../secret.txt",
                           "/a/../../secret.txt",
                           "/..",
                           "/a/..",
                           "/a/../a/b.txt",
                           "/./a/b.txt",
                           "/a/./b.txt",
                           "/%2e%2e/secret.txt",
                           "/%2E./secret.txt",
                           "/..%2fsecret.txt",
                           "/a%2fb.txt",
                           "/a%2Fb.txt",
                           "//a/b.txt",
                           "/a//b.txt",
                           "/a/b.txt%00",
                           "/a/b.txt%00.html",
                           "/%2e%2e%2fsecret.txt",
                           "/..%5csecret.txt",
                           "/..\\secret.txt",
                           "/%252e%252e/secret.txt",
                           "/a/%",
                           "/a/%2",
                           "/a/%zz",
                           "/..;/secret.txt",
                           "/a/.",
                           "/%2f%2fetc/passwd",
                           "//etc/passwd",
                           "/etc/passwd",
                           "/..%c0%af..%c0%afetc/passwd",
                           "/a/b.txt/",
                           "/a/b.txt/c"}) {
    EXPECT_EQ(text(path), "404") << path;
  }
  EXPECT_EQ(text("/a/b.txt"), "inside");
  EXPECT_EQ(text("/" + std::string(256, 'n')), "404");
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += "/d";
  EXPECT_EQ(text(deep), "404");
  EXPECT_EQ(text("/" + std::string(100'000, 'n')), "404");
}

TEST_F(Files, LinksStayBelowTheRoot) {
  std::ofstream(top / "secret.txt") << "secret";
  write("a/b.txt", "inside");
  fs::create_symlink("a/b.txt", root / "good");
  fs::create_symlink("../a/b.txt", root / "a/up");
  fs::create_symlink("a", root / "folder");
  fs::create_symlink("../secret.txt", root / "escape");
  fs::create_symlink("..", root / "out");
  fs::create_symlink(top / "secret.txt", root / "absolute");
  fs::create_symlink(root / "a/b.txt", root / "absolute_inside");
  fs::create_symlink("loop", root / "loop");
  fs::create_symlink("nothing", root / "dangling");
  fs::create_symlink("/proc/self/root", root / "magic");
  EXPECT_EQ(text("/good"), "inside");
  EXPECT_EQ(text("/a/up"), "inside");
  EXPECT_EQ(text("/folder/b.txt"), "inside");
  for (const char* path : {"/escape", "/out/secret.txt", "/out/root/a/b.txt", "/absolute",
                           "/absolute_inside", "/loop", "/dangling", "/magic/etc/passwd"}) {
    EXPECT_EQ(text(path), "404") << path;
  }
}

TEST_F(Files, DotfilesOnlyWhenAsked) {
  write(".env", "key");
  write(".git/config", "config");
  write("a/.hidden", "hidden");
  write(".well-known/security.txt", "contact");
  write(".well-known/.x", "x");
  write("a/.well-known/y", "y");
  for (const char* path :
       {"/.env", "/.git/config", "/a/.hidden", "/%2eenv", "/.well-known/.x", "/a/.well-known/y"}) {
    EXPECT_EQ(text(path), "404") << path;
  }
  EXPECT_EQ(text("/.well-known/security.txt"), "contact");
  serve(StaticFilesOptions().dotfiles());
  EXPECT_EQ(text("/.env"), "key");
  EXPECT_EQ(text("/.git/config"), "config");
  EXPECT_EQ(text("/.git/../.env"), "404");
}

TEST_F(Files, OnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", (root / "socket").c_str());
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(text("/fifo"), "404");  // and does not hang
  EXPECT_EQ(text("/socket"), "404");
  ::close(listener);
}

TEST_F(Files, AnEmptyFileIsEmpty) {
  write("empty.css", "");
  const auto sent = ask("/empty.css");
  EXPECT_EQ(sent->status, 200);
  EXPECT_EQ(sent->field("content-length"), "0");
  EXPECT_TRUE(sent->ended);
  EXPECT_EQ(ask(with(get("/empty.css"), "range", "bytes=0-"))->status, 416);
}

TEST_F(Files, Conditions) {
  write("a.txt", "hello");
  const std::string etag(ask("/a.txt")->field("etag"));
  auto sent = ask(with(get("/a.txt"), "if-none-match", etag));
  EXPECT_EQ(sent->status, 304);
  EXPECT_EQ(sent->body, "");
  EXPECT_EQ(sent->field("etag"), etag);
  EXPECT_EQ(sent->field("content-type"), "(none)");
  EXPECT_EQ(sent->field("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(ask(with(get("/a.txt"), "if-modified-since", kModifiedText))->status, 304);
  EXPECT_EQ(ask(with(request("HEAD", "/a.txt"), "if-none-match", "*"))->status, 304);
  EXPECT_EQ(ask(with(get("/a.txt"), "if-none-match", "\"other\""))->body, "hello");
  EXPECT_EQ(ask(with(get("/a.txt"), "if-match", "\"other\""))->status, 412);
  EXPECT_EQ(ask(with(get("/a.txt"), "if-match", etag))->status, 200);
  EXPECT_EQ(
      ask(with(get("/a.txt"), "if-unmodified-since", "Sun, 06 Nov 1994 07:49:36 GMT"))->status,
      412);
}

/// Both a file that is kept in memory and one that is read for each request.
class Ranges : public Files, public ::testing::WithParamInterface<bool> {
 protected:
  Ranges() {
    for (int i = 0; data.size() < 400'000; ++i) data += std::to_string(i) + " ";
    write("data.bin", data);
    serve(StaticFilesOptions().cached_file_bytes(GetParam() ? 1'000'000 : 1000));
  }
  std::unique_ptr<RecordingCarrier> range(std::string_view value) {
    return ask(with(get("/data.bin"), "range", value));
  }
  std::string data;
};

INSTANTIATE_TEST_SUITE_P(InMemoryAndOnDisk, Ranges, ::testing::Bool(),
                         [](const auto& it) { return it.param ? "memory" : "disk"; });

TEST_P(Ranges, Whole) {
  const auto sent = ask("/data.bin");
  EXPECT_EQ(sent->body, data);
  EXPECT_EQ(sent->pieces.size() == 1, GetParam());
  EXPECT_EQ(ask("/data.bin")->body, data);  // from the cache, or the file once more
}

TEST_P(Ranges, Single) {
  auto sent = range("bytes=10-19");
  EXPECT_EQ(sent->status, 206);
  EXPECT_EQ(sent->body, data.substr(10, 10));
  EXPECT_EQ(sent->field("content-length"), "10");
  EXPECT_EQ(sent->field("content-range"), "bytes 10-19/" + std::to_string(data.size()));
  EXPECT_EQ(sent->field("content-type"), "application/octet-stream");
  EXPECT_EQ(range("bytes=-7")->body, data.substr(data.size() - 7));
  EXPECT_EQ(range("bytes=100-")->body, data.substr(100));
  EXPECT_EQ(range("bytes=0-")->status, 206);
}

TEST_P(Ranges, NotSatisfiable) {
  const auto sent = range("bytes=" + std::to_string(data.size()) + "-");
  EXPECT_EQ(sent->status, 416);
  EXPECT_EQ(sent->field("content-range"), "bytes */" + std::to_string(data.size()));
}

TEST_P(Ranges, Multiple) {
  const auto sent = range("bytes=0-9, 200000-349999, -5");
  EXPECT_EQ(sent->status, 206);
  const std::string type(sent->field("content-type"));
  ASSERT_THAT(type, StartsWith("multipart/byteranges; boundary="));
  const std::string boundary = type.substr(type.find('=') + 1);
  const std::string total = std::to_string(data.size());
  const auto part = [&](std::size_t first, std::size_t length) {
    return "--" + boundary + "\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes " +
           std::to_string(first) + "-" + std::to_string(first + length - 1) + "/" + total +
           "\r\n\r\n" + data.substr(first, length) + "\r\n";
  };
  const std::string expected =
      part(0, 10) + part(200000, 150000) + part(data.size() - 5, 5) + "--" + boundary + "--\r\n";
  EXPECT_EQ(sent->body, expected);
  EXPECT_EQ(sent->field("content-length"), std::to_string(expected.size()));
  EXPECT_EQ(sent->field("content-range"), "(none)");
  EXPECT_TRUE(sent->ended);
}

TEST_P(Ranges, WithConditions) {
  const std::string etag(ask("/data.bin")->field("etag"));
  const RequestHead head = with(get("/data.bin"), "range", "bytes=0-4");
  EXPECT_EQ(ask(with(head, "if-range", etag))->status, 206);
  EXPECT_EQ(ask(with(head, "if-range", kModifiedText))->status, 206);
  EXPECT_EQ(ask(with(head, "if-range", "\"other\""))->status, 200);
  EXPECT_EQ(ask(with(head, "if-none-match", etag))->status, 304);
  EXPECT_EQ(ask(with(head, "if-match", "\"other\""))->status, 412);
  RequestHead post = with(request("HEAD", "/data.bin"), "range", "bytes=0-4");
  const auto sent = ask(post);
  EXPECT_EQ(sent->status, 200);  // Range is GET's alone
  EXPECT_EQ(sent->field("content-length"), std::to_string(data.size()));
}

TEST_F(Files, PrecompressedSiblings) {
  write("app.js", "plain");
  write("app.js.gz", "gzipped");
  write("app.js.br", "brotli!");
  write("alone.js", "alone");
  const auto accepting = [this](const char* path, const char* value) {
    return ask(with(get(path), "accept-encoding", value));
  };
  auto sent = accepting("/app.js", "gzip, deflate, br, zstd");
  EXPECT_EQ(sent->body, "brotli!");
  EXPECT_EQ(sent->field("content-encoding"), "br");
  EXPECT_EQ(sent->field("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(sent->field("vary"), "accept-encoding");
  const std::string brotli_etag(sent->field("etag"));
  sent = accepting("/app.js", "gzip");
  EXPECT_EQ(sent->body, "gzipped");
  EXPECT_EQ(sent->field("content-encoding"), "gzip");
  EXPECT_NE(sent->field("etag"), brotli_etag);
  sent = ask("/app.js");
  EXPECT_EQ(sent->body, "plain");
  EXPECT_EQ(sent->field("content-encoding"), "(none)");
  EXPECT_EQ(sent->field("vary"), "accept-encoding");
  sent = accepting("/alone.js", "gzip, br");
  EXPECT_EQ(sent->body, "alone");
  EXPECT_EQ(sent->field("vary"), "(none)");
  // A tag is one representation's.
  sent = ask(with(with(get("/app.js"), "accept-encoding", "br"), "if-none-match", brotli_etag));
  EXPECT_EQ(sent->status, 304);
  EXPECT_EQ(sent->field("vary"), "accept-encoding");
  EXPECT_EQ(ask(with(get("/app.js"), "if-none-match", brotli_etag))->status, 200);
  EXPECT_EQ(ask(with(with(get("/app.js"), "accept-encoding", "br"), "range", "bytes=1-3"))->body,
            "rot");
  serve(StaticFilesOptions().precompressed(false));
  EXPECT_EQ(accepting("/app.js", "br")->body, "plain");
}

TEST_F(Files, ALargeFileMayHaveASmallSibling) {
  write("big.txt", std::string(2'000'000, 'x'));
  write("big.txt.br", "tiny");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ask(with(get("/big.txt"), "accept-encoding", "br"))->body, "tiny");
    EXPECT_EQ(ask("/big.txt")->body.size(), 2'000'000u);
  }
}

/// A client that takes nothing costs no more than the first piece, if its connection has queued
/// much already.
TEST_F(Files, ALargeFileIsReadInPiecesThatGrow) {
  write("big.bin", std::string(2'000'000, 'x'));
  const auto sent = ask("/big.bin");
  ASSERT_GE(sent->pieces.size(), 4u);
  EXPECT_EQ(sent->pieces[0], kFirstReadChunk);
  EXPECT_EQ(sent->pieces[1], 2 * kFirstReadChunk);
  EXPECT_EQ(sent->pieces[2], kReadChunk);
  EXPECT_EQ(sent->pieces[3], kReadChunk);
}

TEST_F(Files, AChangeIsSeenAfterASecond) {
  write("a.txt", "one");
  EXPECT_EQ(text("/a.txt"), "one");
  write("a.txt", "two");
  EXPECT_EQ(text("/a.txt"), "one");
  world.driver.advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(text("/a.txt"), "two");
  fs::remove(root / "a.txt");
  EXPECT_EQ(text("/a.txt"), "two");
  world.driver.advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(text("/a.txt"), "404");
  write("a.txt", "three");
  EXPECT_EQ(text("/a.txt"), "three");
  write("a.txt.gz", "zip");
  world.driver.advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(ask(with(get("/a.txt"), "accept-encoding", "gzip"))->body, "zip");
}

TEST_F(Files, ALargeFileIsNeverStale) {
  write("big.bin", std::string(2'000'000, 'x'));
  EXPECT_EQ(ask("/big.bin")->body.size(), 2'000'000u);
  write("big.bin", std::string(1'500'000, 'y'));
  const auto sent = ask("/big.bin");
  EXPECT_EQ(sent->body, std::string(1'500'000, 'y'));
  EXPECT_EQ(sent->field("content-length"), "1500000");
}

TEST_F(Files, TheCacheIsBounded) {
  serve(StaticFilesOptions().cache_bytes(200'000));
  for (int i = 0; i < 30; ++i) {
    write("f" + std::to_string(i), std::string(20'000, static_cast<char>('a' + i % 26)));
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(text("/f" + std::to_string(i)),
                std::string(20'000, static_cast<char>('a' + i % 26)));
    }
  }
  serve(StaticFilesOptions().cache_bytes(0));
  EXPECT_EQ(text("/f1"), std::string(20'000, 'b'));
  EXPECT_EQ(text("/f1"), std::string(20'000, 'b'));
}

TEST_F(Files, WorkersShareOneRouter) {
  write("a.txt", "shared");
  write("big.bin", std::string(1'500'000, 'x'));
  Result<StaticFiles> files = StaticFiles::open(root);
  ASSERT_TRUE(files);
  Router router;
  router.mount("/", *files);
  const auto work = [&router] {
    const Router mine = router;
    World own;
    std::size_t bytes = 0;
    for (int i = 0; i < 50; ++i) {
      bytes += answer(own, mine, get("/a.txt"))->body.size();
      bytes += answer(own, mine, get("/big.bin"))->body.size();
    }
    EXPECT_EQ(bytes, 50u * (6 + 1'500'000));
  };
  std::thread other(work);
  work();
  other.join();
}

TEST_F(Files, AFileCutShortInMidSendResetsTheStream) {
  write("big.bin", std::string(2'000'000, 'x'));
  serve();
  RecordingCarrier carrier;
  carrier.hold = true;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/big.bin"));
  Outgoing& outgoing = exchange->outgoing();
  world.runtime.spawn(http::serve(handler, std::move(exchange), nullptr));
  world.runtime.turn();
  EXPECT_GT(carrier.body.size(), Outgoing::kHighWater);
  EXPECT_LT(carrier.body.size(), 2 * Outgoing::kHighWater + 1);  // back-pressure
  fs::resize_file(root / "big.bin", 500'000);
  carrier.hold = false;
  carrier.queued = 0;
  outgoing.drained();
  world.runtime.turn();
  EXPECT_EQ(carrier.aborted, Abort::internal);
  EXPECT_EQ(carrier.body.size(), 500'000u);
  EXPECT_FALSE(carrier.ended);
  EXPECT_THAT(world.log.lines.back(), HasSubstr("shorter"));
}

std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(Files, NoDescriptorIsLeaked) {
  write("big.bin", std::string(2'000'000, 'x'));
  write("a.txt", "a");
  fs::create_directory(root / "folder");
  serve(StaticFilesOptions().listing());
  const std::size_t before = open_files();
  for (int i = 0; i < 20; ++i) {
    for (const char* path : {"/big.bin", "/a.txt", "/folder", "/folder/", "/absent", "/.x", "/"}) {
      ask(path);
      ask(with(get(path), "if-none-match", "*"));
    }
    world.driver.advance(std::chrono::seconds(2));
  }
  {
    // A client that goes away in mid-body.
    RecordingCarrier carrier;
    carrier.hold = true;
    auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/big.bin"));
    Exchange& ends = *exchange;
    world.runtime.spawn(http::serve(handler, std::move(exchange), nullptr));
    world.runtime.turn();
    ends.carrier_gone(Error::closed("gone"));
    world.runtime.turn();
  }
  EXPECT_EQ(open_files(), before);
}

TEST_F(Files, ListsAFolderWhenAsked) {
  write("dir/b <&> \".txt", std::string(1500, 'x'));
  write("dir/a.txt", "a");
  write("dir/.hidden", "h");
  fs::create_directory(root / "dir/sub");
  EXPECT_EQ(text("/dir/"), "404");
  serve(StaticFilesOptions().listing());
  const auto sent = ask("/dir/");
  EXPECT_EQ(sent->status, 200);
  EXPECT_EQ(sent->field("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(sent->body,
              AllOf(HasSubstr("<h1>/dir/</h1>"), HasSubstr("href=\"./sub/\">sub/</a>"),
                    HasSubstr("href=\"./b%20%3C%26%3E%20%22.txt\">b &lt;&amp;&gt; &quot;.txt</a>"),
                    HasSubstr("1.5 kB"), HasSubstr("1994-11-06 07:49"), HasSubstr("href=\"../\""),
                    Not(HasSubstr("hidden"))));
  EXPECT_LT(sent->body.find("sub/"), sent->body.find("a.txt"));
  EXPECT_THAT(ask("/")->body, Not(HasSubstr("href=\"../\"")));
  EXPECT_EQ(ask("/dir")->status, 308);
  write("dir/index.html", "index");
  EXPECT_EQ(text("/dir/"), "index");
}

TEST_F(Files, OptionsAreChecked) {
  EXPECT_FALSE(StaticFiles::open(top / "absent"));
  EXPECT_FALSE(StaticFiles::open(root, StaticFilesOptions().index("../x")));
  write("file", "x");
  EXPECT_FALSE(StaticFiles::open(root / "file"));
  serve(StaticFilesOptions().cache_control("max-age=60").index(""));
  write("index.html", "x");
  EXPECT_EQ(ask("/file")->field("cache-control"), "max-age=60");
  EXPECT_EQ(text("/"), "404");
}

// ---- open_beneath -------------------------------------------------------------------------------

TEST_F(Files, StepwiseOpenAgreesWithTheKernel) {
  std::ofstream(top / "secret.txt") << "secret";
  write("a/b.txt", "inside");
  fs::create_symlink("a/b.txt", root / "good");
  fs::create_symlink("../a/b.txt", root / "a/up");
  fs::create_symlink("a", root / "folder");
  fs::create_symlink("folder/../a/./b.txt", root / "winding");
  fs::create_symlink("../secret.txt", root / "escape");
  fs::create_symlink("a/../../secret.txt", root / "escape2");
  fs::create_symlink("/etc/passwd", root / "absolute");
  fs::create_symlink("loop", root / "loop");
  const FileDescriptor folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto read = [](const FileDescriptor& file) {
    if (!file) return "errno " + std::to_string(errno);
    std::array<char, 64> text;
    const ssize_t size = ::read(file.number(), text.data(), text.size());
    return size < 0 ? "a folder" : std::string(text.data(), static_cast<std::size_t>(size));
  };
  for (const char* path : {"",           ".",         "a",
                           "a/",         "a/.",       "a/b.txt",
                           "good",       "a/up",      "folder/b.txt",
                           "winding",    "escape",    "escape2",
                           "absolute",   "loop",      "absent",
                           "a/absent",   "a/b.txt/x", "..",
                           "a/..",       "a/../..",   "folder/../good",
                           "/etc/passwd"}) {
    EXPECT_EQ(read(open_beneath_stepwise(folder, path)), read(open_beneath(folder, path))) << path;
  }
  EXPECT_EQ(read(open_beneath_stepwise(folder, "winding")), "inside");
  EXPECT_EQ(read(open_beneath_stepwise(folder, "escape")), "errno " + std::to_string(EXDEV));
}

// ---- embedded files -----------------------------------------------------------------------------

constexpr std::array<EmbeddedFile, 2> kSite = {{
    {"/index.html", "", "<p>hi</p>", ""},
    {"/app.js", "text/x-mine", "alert(1)", "\"mine\""},
}};

TEST(EmbeddedFiles, ServesWithConditionsAndRanges) {
  World world;
  const EmbeddedFiles files(kSite);
  EXPECT_EQ(answer(world, files, get("/"))->body, "<p>hi</p>");
  auto sent = answer(world, files, get("/index.html?x"));
  EXPECT_EQ(sent->body, "<p>hi</p>");
  EXPECT_EQ(sent->field("content-type"), "text/html; charset=utf-8");
  const std::string etag(sent->field("etag"));
  EXPECT_THAT(etag, MatchesRegex("\"[0-9a-f]+-9\""));
  EXPECT_EQ(answer(world, files, with(get("/"), "if-none-match", etag))->status, 304);
  sent = answer(world, files, with(get("/app.js"), "range", "bytes=0-4"));
  EXPECT_EQ(sent->status, 206);
  EXPECT_EQ(sent->body, "alert");
  EXPECT_EQ(sent->field("etag"), "\"mine\"");
  EXPECT_EQ(sent->field("content-type"), "text/x-mine");
  EXPECT_EQ(answer(world, files, request("HEAD", "/app.js"))->field("content-length"), "8");
  EXPECT_EQ(answer(world, files, get("/absent"))->status, 404);
  EXPECT_EQ(answer(world, files, request("POST", "/"))->status, 405);
}

}  // namespace
}  // namespace tern::http
