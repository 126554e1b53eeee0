#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "tools/tern/bench_options.h"
#include "tools/tern/histogram.h"

namespace tern::cli {

/// What a run came to. Everything but the connection counts is of the measured time alone.
struct BenchReport {
  static constexpr std::size_t kMaxKinds = 32;

  std::string url;
  std::string remote;
  std::string engine;
  std::string protocol;   ///< "h3", "h2" or "http/1.1"
  std::string handshake;  ///< of the first connection: version, cipher, group; clear text: empty
  Duration elapsed{};
  std::uint64_t requests = 0;  ///< complete, whatever their status
  std::uint64_t bytes = 0;     ///< of bodies
  std::uint64_t handshakes = 0;
  std::uint64_t resumed = 0;
  std::uint64_t connections = 0;  ///< open at the end
  Histogram latency;              ///< request to last byte, or handshake with --connect
  Histogram connect;              ///< of the connections the run began with
  std::map<std::string, std::uint64_t> errors;
  std::map<int, std::uint64_t> statuses;
  Duration client_cpu{};
  std::optional<int> server_pid;
  std::optional<Duration> server_cpu;
  std::optional<std::uint64_t> server_memory;         ///< resident bytes at the end
  std::optional<std::uint64_t> server_memory_before;  ///< before the first connection

  void count_error(const Error& error);
  std::uint64_t error_count() const;
};

void print_bench(const BenchOptions& options, const BenchReport& report);
void print_bench_json(const BenchOptions& options, const BenchReport& report);

}  // namespace tern::cli
