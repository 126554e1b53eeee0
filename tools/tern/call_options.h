#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "gateway/client_options.h"
#include "tools/tern/client_run.h"

namespace tern::cli {

/// The flags of `tern call`.
struct CallOptions : ConnectFlags {
  std::string url;
  // what is sent
  std::vector<std::string> data;
  std::vector<std::string> fields;
  std::string compression;
  bool allow_unknown = false;
  // what is known of the service
  std::vector<std::string> schemas;
  std::vector<std::string> proto_paths;
  bool list = false;
  std::string describe;
  // how it goes there
  std::string protocol = "grpc";
  bool get = false;
  std::optional<ClientProtocols> http;
  std::optional<Duration> timeout;
  std::uint64_t max_message = std::uint64_t{64} * 1024 * 1024;
  std::string certificate;
  std::string key;
  // what is printed
  bool verbose = false;
  bool emit_defaults = false;
  bool json = false;
};

}  // namespace tern::cli
