#include "rpc/query.h"

#include <algorithm>

#include "http/escape.h"

namespace tern::rpc {

namespace {

bool decode(std::string_view text, std::string& out) {
  if (text.find('+') == std::string_view::npos) return http::percent_decode(text, out);
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return http::percent_decode(spaced, out);
}

}  // namespace

bool QueryReader::next() {
  std::string_view parameter;
  while (parameter.empty()) {
    if (rest_.empty() || failed_) return false;
    const std::size_t end = std::min(rest_.find('&'), rest_.size());
    parameter = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
  }
  const std::size_t equals = std::min(parameter.find('='), parameter.size());
  const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
  failed_ = ++count_ > kMaxParameters || !decode(parameter.substr(0, equals), name_) ||
            !decode(value, value_);
  return !failed_;
}

}  // namespace tern::rpc
