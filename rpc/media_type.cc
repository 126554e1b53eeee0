#include "rpc/media_type.h"

#include <algorithm>

namespace tern::rpc {

std::string media_type(const http::Fields& fields) {
  std::string_view value = fields.find("content-type").value_or(std::string_view());
  value = value.substr(0, value.find(';'));
  while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
  std::string lower(value);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return lower;
}

bool is_json(std::string_view type) noexcept {
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

bool is_json_lines(std::string_view type) noexcept {
  return type == "application/x-ndjson" || type == "application/jsonl" ||
         type == "application/json-lines";
}

}  // namespace tern::rpc
