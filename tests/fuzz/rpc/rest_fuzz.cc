// REST: a query and a body into a message, and that into JSON and back; a stream's body into its
// values, the same in any pieces. Input: the query, a line end, the body.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "base/bytes.h"
#include "base/check.h"
#include "library.pb.h"
#include "rpc/json_values.h"
#include "rpc/rest_route.h"

using namespace tern;
using namespace tern::rpc;

namespace {

const RestRoute& route(const char* method, std::size_t binding) {
  const auto* service = tern::test::Everything::descriptor()->file()->FindServiceByName("Library");
  static std::vector<std::unique_ptr<RestRoute>> made;
  auto routes = rest_routes(*service->FindMethodByName(method));
  TERN_CHECK(routes.has_value());
  return *made.emplace_back(std::make_unique<RestRoute>(routes->at(binding)));
}

/// The values of a body, and whether it is well-formed.
std::pair<std::vector<std::string>, bool> values_in_pieces(std::string_view body,
                                                           std::size_t piece) {
  constexpr std::size_t kLimit = 100;
  JsonValues reader(kLimit);
  std::vector<std::string> values;
  for (std::size_t at = 0;; at += piece) {
    if (at < body.size()) {
      reader.push(body.substr(at, piece));
    } else {
      reader.end();
    }
    for (;;) {
      auto next = reader.next();
      if (!next) return {std::move(values), false};
      if (!*next) break;
      TERN_CHECK((*next)->size() <= kLimit);
      values.push_back(std::move(**next));
    }
    if (at >= body.size()) return {std::move(values), true};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  const std::size_t line = std::min(text.find('\n'), text.size());
  const std::string_view body = text.substr(std::min(line + 1, text.size()));
  TERN_CHECK(values_in_pieces(body, 1 + line % 7) == values_in_pieces(body, body.size() + 1));
  static const RestRoute& search = route("Search", 0);
  static const RestRoute& create = route("Create", 0);
  static const RestRoute& numbers = route("Search", 1);
  static const std::vector<std::string> none, one{"s"},
      four{"1", "true", "POEM", "1970-01-01T00:00:00Z"};
  tern::test::Everything message;
  if (bind(search, RestRequest{none, text.substr(0, line), "", ""}, message)) {
    const auto json = answer(search, message);
    if (json) {  // what came by the query may be a Timestamp that no JSON has
      tern::test::Everything again;
      TERN_CHECK(from_json(json->bytes, again).ok());
    }
  }
  (void)bind(create, RestRequest{one, "", "application/json", body}, message);
  if (bind(numbers, RestRequest{four, "", "application/json", body}, message)) {
    // The body is one field: it has set no other.
    TERN_CHECK(message.s().empty() && message.books().empty() && message.i32() == 1);
  }
  return 0;
}
