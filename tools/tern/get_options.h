#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "gateway/client_options.h"
#include "tools/tern/client_run.h"
#include "transport/quic/options.h"

namespace tern::cli {

/// The flags of `tern get`.
struct GetOptions : ConnectFlags {
  std::vector<std::string> urls;
  // what is sent
  std::string method;
  std::vector<std::string> fields;
  std::vector<std::string> data;
  std::vector<std::string> data_binary;
  std::optional<std::string> json_body;
  std::string upload;
  std::optional<std::string> user_agent;  ///< empty: none
  std::string user;                       ///< with its password
  std::string range;
  bool head = false;
  bool compressed = false;
  bool follow = false;
  std::size_t max_redirects = 30;
  // where it goes
  std::vector<std::string> outputs;
  bool remote_name = false;
  bool include = false;
  bool fail = false;
  bool verbose = false;
  bool silent = false;
  bool show_error = false;
  bool stats = false;
  bool json = false;
  // the connection
  ClientProtocols protocols = ClientProtocols::automatic;
  std::string certificate;
  std::string key;
  std::string local_address;
  std::optional<Duration> max_time;
  std::string session;
  bool early_data = false;
  std::vector<std::uint32_t> versions;
  bool chacha20 = false;
  bool retry_on_close = false;
  std::size_t retries = 0;
  std::vector<std::string> cookies;  ///< "a=b", or a file's name
  std::string cookie_jar;
  std::string network_policy = "default";
  std::vector<std::string> migrate_at;
  bool key_update = false;
  bool parallel = false;
  quic::Congestion congestion = quic::Congestion::cubic;
};

}  // namespace tern::cli
