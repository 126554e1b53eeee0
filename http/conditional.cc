#include "http/conditional.h"

#include <string>

#include "http/date.h"

namespace tern::http {

namespace {

std::string_view opaque(std::string_view etag) noexcept {
  return etag.starts_with("W/") ? etag.substr(2) : etag;
}

bool is_weak(std::string_view etag) noexcept { return etag.starts_with("W/"); }

/// Takes the entity tag at the start of `list`, with the blanks and commas before it. Empty at the
/// end and at anything that is no entity tag.
std::string_view next_etag(std::string_view& list) noexcept {
  const std::size_t start = list.find_first_not_of(" \t,");
  if (start == std::string_view::npos) return {};
  list.remove_prefix(start);
  const std::size_t open = is_weak(list) ? 2 : 0;
  if (list.size() <= open || list[open] != '"') return {};
  const std::size_t close = list.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  const std::string_view tag = list.substr(0, close + 1);
  list.remove_prefix(close + 1);
  return tag;
}

bool listed(std::string_view list, std::string_view etag, bool strong) noexcept {
  if (etag.empty() || (strong && is_weak(etag))) return false;
  for (;;) {
    const std::string_view candidate = next_etag(list);
    if (candidate.empty()) return false;
    if (strong && is_weak(candidate)) continue;
    if (opaque(candidate) == opaque(etag)) return true;
  }
}

/// `value` is "*" or a list that names `etag`.
bool matches(std::string_view value, std::string_view etag, bool strong) noexcept {
  return value == "*" || listed(value, etag, strong);
}

}  // namespace

Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    UnixSeconds now) {
  const Fields& fields = request.fields;
  const bool reads = request.method == "GET" || request.method == "HEAD";

  if (const auto if_match = fields.joined("if-match")) {
    if (!matches(*if_match, validators.etag, true)) return Precondition::failed;
  } else if (const auto since = fields.find("if-unmodified-since"); since) {
    const auto date = parse_http_date(*since, now);
    if (date && validators.last_modified && *validators.last_modified > *date) {
      return Precondition::failed;
    }
  }

  if (const auto if_none_match = fields.joined("if-none-match")) {
    if (matches(*if_none_match, validators.etag, false)) {
      return reads ? Precondition::not_modified : Precondition::failed;
    }
  } else if (const auto since = fields.find("if-modified-since"); since && reads) {
    const auto date = parse_http_date(*since, now);
    if (date && validators.last_modified && *validators.last_modified <= *date) {
      return Precondition::not_modified;
    }
  }
  return Precondition::proceed;
}

bool range_applies(const RequestHead& request, const Validators& validators, UnixSeconds now) {
  const auto if_range = request.fields.find("if-range");
  if (!if_range) return true;
  if (if_range->starts_with('"') || if_range->starts_with("W/")) {
    std::string_view rest = *if_range;
    const std::string_view tag = next_etag(rest);
    return rest.empty() && !is_weak(tag) && !validators.etag.empty() && tag == validators.etag;
  }
  // A date is a strong validator only when the representation has rested for a second (§8.8.2.2).
  const auto date = parse_http_date(*if_range, now);
  return date && validators.last_modified && *validators.last_modified == *date && *date < now;
}

}  // namespace tern::http
