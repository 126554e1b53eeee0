// Path templates: what parses can be put into a table, and what the table finds has a value for
// each variable. Input: a template, a line end, a path.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "rpc/path_template.h"

using namespace tern;
using namespace tern::rpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  const std::size_t line = text.find('\n');
  const auto made = PathTemplate::parse(text.substr(0, line));
  if (!made || line == std::string_view::npos) return 0;
  TERN_CHECK(!made->segments().empty());
  for (const PathTemplate::Variable& variable : made->variables()) {
    TERN_CHECK(variable.first < variable.end && variable.end <= made->segments().size());
  }
  static const PathTemplate* const kOther = [] {
    static const auto parsed = PathTemplate::parse("/v1/{name=a/*/b/*}/{rest=**}:go");
    return &*parsed;
  }();
  PathTable table;
  TERN_CHECK(table.add("GET", *made, 0).has_value());
  TERN_CHECK(!table.add("GET", *made, 1).has_value());
  (void)table.add("POST", *kOther, 1);
  const std::string_view path = text.substr(line + 1);
  for (const char* method : {"GET", "POST", "HEAD"}) {
    const PathTable::Match match = table.find(method, path);
    if (match.outcome != PathTable::Match::Outcome::found) continue;
    const PathTemplate& found = match.route == 0 ? *made : *kOther;
    TERN_CHECK(match.values.size() == found.variables().size());
  }
  return 0;
}
