#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "tools/tern/client_run.h"
#include "transport/engine/engine.h"
#include "transport/quic/options.h"

namespace tern::cli {

enum class BenchProtocol : std::uint8_t { http3, http2, http1 };

/// The flags of `tern bench`.
struct BenchOptions : ProxyFlags {
  std::string url;
  bool websocket = false;     ///< the URL is wss:// or ws://
  bool webtransport = false;  ///< the URL is wt://
  bool datagrams = false;     ///< of a WebTransport session, instead of streams
  std::size_t sessions = 1;   ///< of WebTransport, on each connection
  std::optional<BenchProtocol> asked_protocol;
  BenchProtocol protocol = BenchProtocol::http3;  ///< what that comes to
  std::size_t connections = 10;
  std::optional<std::size_t> asked_streams;
  std::size_t in_flight = 1;  ///< messages of a WebSocket
  std::size_t streams = 10;   ///< what that comes to
  std::optional<std::uint64_t> requests;
  std::optional<Duration> duration;
  std::optional<Duration> warm_up;
  double rate = 0;
  bool connect = false;  ///< handshakes instead of requests
  bool resume = false;
  bool idle = false;  ///< connections that do nothing
  std::string method;
  std::vector<std::string> fields;
  std::string data;
  bool insecure = false;
  std::string ca_file;
  std::vector<std::uint32_t> versions;
  bool chacha20 = false;
  quic::Congestion congestion = quic::Congestion::cubic;
  bool congestion_chosen = false;
  engine::EngineKind engine = engine::EngineKind::automatic;
  int server_pid = 0;
  std::string qlog;
  bool json = false;
};

}  // namespace tern::cli
