#include "tools/interop/target.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "tools/interop/json_value.h"

namespace tern::interop {
namespace {

constexpr std::array<std::string_view, 7> kKnownMembers = {
    "name", "url", "retry", "throughput", "alpn", "insecure", "note"};

Result<http::Url> https_url(std::string_view text) {
  TERN_TRY(http::Url url, http::Url::parse(text));
  if (url.scheme() != "https") return fail(Error::invalid(fmt::format("'{}' is not https", text)));
  return url;
}

Result<Target> parse_target(const JsonValue& entry) {
  for (const auto& [name, value] : entry.members()) {
    if (std::find(kKnownMembers.begin(), kKnownMembers.end(), name) == kKnownMembers.end()) {
      return fail(Error::invalid(fmt::format("there is no member '{}'", name)));
    }
    if (name == "insecure" ? !value.is_bool() : !value.is_string()) {
      return fail(Error::invalid(fmt::format("'{}' is of another type", name)));
    }
  }
  if (entry.find("url") == nullptr) return fail(Error::invalid("it has no 'url'"));
  TERN_TRY(http::Url url, https_url(entry.text_of("url")));
  Target target(std::move(url));
  if (entry.find("name") != nullptr) target.name = entry.text_of("name");
  if (entry.find("alpn") != nullptr) target.alpn = entry.text_of("alpn");
  if (target.alpn != "h3" && target.alpn != "hq-interop") {
    return fail(Error::invalid("'alpn' is h3 or hq-interop"));
  }
  if (entry.find("retry") != nullptr) {
    TERN_TRY(http::Url other, https_url(entry.text_of("retry")));
    if (other.host() != target.url.host()) {
      return fail(Error::invalid("'retry' names another host"));
    }
    target.retry = std::move(other);
  }
  target.throughput = entry.text_of("throughput");
  if (!target.throughput.empty() &&
      (target.throughput[0] != '/' ||
       target.throughput.find(Target::kSizeMark) == std::string::npos)) {
    return fail(Error::invalid("'throughput' is a path with {size} in it"));
  }
  if (const JsonValue* flag = entry.find("insecure")) target.insecure = *flag->flag();
  target.note = entry.text_of("note");
  return target;
}

}  // namespace

Result<std::vector<Target>> parse_targets(std::string_view json) {
  TERN_TRY(const JsonValue whole, JsonValue::parse(json));
  const JsonValue* list = whole.find("endpoints");
  if (list == nullptr || !list->is_array()) {
    return fail(Error::invalid("no list 'endpoints' in it"));
  }
  std::vector<Target> targets;
  for (const JsonValue& entry : list->items()) {
    auto target = parse_target(entry);
    if (!target) {
      const std::string_view name = entry.text_of("name");
      return fail(Error::invalid(fmt::format("endpoint {}{}: {}", targets.size() + 1,
                                             name.empty() ? "" : fmt::format(" ({})", name),
                                             target.error().detail)));
    }
    targets.push_back(std::move(*target));
  }
  if (targets.empty()) return fail(Error::invalid("the list 'endpoints' is empty"));
  return targets;
}

}  // namespace tern::interop
