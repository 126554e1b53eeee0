#pragma once

#include <cstdint>
#include <string_view>

namespace tern::http3 {

/// Names of field lines that HTTP/3 itself looks at.
enum class FieldName : std::uint8_t {
  other,
  method,
  scheme,
  authority,
  path,
  protocol,
  status,
  host,
  content_length,
  cookie,
  priority,
  te,
  connection_specific,  ///< connection, keep-alive, proxy-connection, transfer-encoding, upgrade
};

/// A field line: views.
struct FieldLine {
  FieldName name = FieldName::other;
  std::string_view text;  ///< of the name
  std::string_view value;
};

}  // namespace tern::http3
