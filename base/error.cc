#include "base/error.h"

#include <cstring>

#include <fmt/format.h>

namespace tern {

namespace {

std::string_view domain_name(Domain domain) {
  switch (domain) {
    case Domain::tern: return "tern";
    case Domain::os: return "os";
    case Domain::tls: return "tls";
    case Domain::quic: return "quic";
    case Domain::application: return "application";
    case Domain::http: return "http";
  }
  return "?";
}

}  // namespace

Error Error::os(int error_number, std::string_view what) {
  char buffer[128];
  const char* reason = strerror_r(error_number, buffer, sizeof buffer);
  return Error(Domain::os, static_cast<std::uint64_t>(error_number),
               fmt::format("{}: {}", what, reason));
}

std::string Error::to_string() const {
  if (domain == Domain::tern || domain == Domain::os) return detail;
  return fmt::format("{} {:#x} ({}){}{}", domain_name(domain), code,
                     origin == Origin::remote ? "remote" : "local", detail.empty() ? "" : ": ",
                     detail);
}

}  // namespace tern
