// Request paths: the router finds a route or answers with an error, whatever the path; the file
// handler never leaves its folder. Input: the path and query.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "http/router.h"
#include "http/static_files.h"
#include "tests/unit/http/recording_carrier.h"

namespace {

using namespace tern;
using namespace tern::http;

Task<void> echo(Exchange& exchange) {
  std::string text(exchange.parameter("id"));
  text.append(exchange.parameter("rest"));
  co_await exchange.respond(Status::ok, std::move(text));
}

const Router& router() {
  static const Router made = [] {
    Router routes;
    routes.get("/", echo).get("/a/{id}", echo).post("/a/{id}", echo).get("/a/b", echo);
    routes.get("/t/{id}/{rest...}", echo).connect("websocket", "/a/{id}", echo);
    // A folder without anything to find below the paths a fuzzer makes.
    auto files = StaticFiles::open("/proc/self/task", StaticFilesOptions().listing());
    TERN_CHECK(files.has_value());
    routes.mount("/f", *files);
    return routes;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::World world;
  RequestHead head;
  head.path = as_text(ByteView(data, size));
  for (const char* method : {"GET", "POST", "OPTIONS", "CONNECT"}) {
    head.method = method;
    head.protocol = head.method == "CONNECT" ? "websocket" : "";
    const auto sent = test::answer(world, router(), head);
    TERN_CHECK(sent->status >= 200 && sent->status < 600 && sent->status != 500);
    TERN_CHECK(sent->ended && sent->broken.empty() && !sent->aborted);
    if (head.path.starts_with("/f")) {  // nothing of /etc/passwd
      TERN_CHECK(sent->body.find("root:") == std::string::npos);
    }
  }
  return 0;
}
