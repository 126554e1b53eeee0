#include "tools/tern/bench_report.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

double each_second(std::uint64_t count, Duration elapsed) {
  return elapsed <= Duration::zero() ? 0 : static_cast<double>(count) / seconds(elapsed);
}

/// What the run is about: requests, or handshakes with --connect.
std::uint64_t units(const BenchOptions& options, const BenchReport& report) {
  return options.connect ? report.handshakes : report.requests;
}

struct Percentile {
  const char* name;
  const char* key;
  double value;
};
constexpr Percentile kPercentiles[] = {
    {"p50", "p50", 50}, {"p90", "p90", 90}, {"p99", "p99", 99}, {"p99.9", "p99_9", 99.9}};

std::string percentiles(const Histogram& histogram) {
  std::string text;
  for (const Percentile& percentile : kPercentiles) {
    text += fmt::format("{} {} · ", percentile.name,
                        human_duration(histogram.percentile(percentile.value)));
  }
  return text + fmt::format("max {} · mean {}", human_duration(histogram.max()),
                            human_duration(histogram.mean()));
}

void write_histogram(JsonWriter& json, const char* name, const Histogram& histogram) {
  json.key(name).begin_object().member("count", histogram.count());
  json.member("min", seconds(histogram.min()) * 1e6);
  json.member("mean", seconds(histogram.mean()) * 1e6);
  for (const Percentile& percentile : kPercentiles) {
    json.member(percentile.key, seconds(histogram.percentile(percentile.value)) * 1e6);
  }
  json.member("max", seconds(histogram.max()) * 1e6).end();
}

/// One of what is counted.
const char* unit(const BenchOptions& options) {
  if (options.connect) return "handshake";
  if (options.websocket) return "message";
  if (options.webtransport) return options.datagrams ? "datagram" : "stream";
  return "request";
}

const char* slots(const BenchOptions& options) {
  if (options.websocket) return "WebSockets";
  return options.datagrams ? "datagrams" : "streams";
}

/// "10 connections × 10 streams"
std::string shape(const BenchOptions& options) {
  std::string text = fmt::format("{} connections", options.connections);
  if (options.protocol != BenchProtocol::http1) {
    if (options.sessions > 1) text += fmt::format(" × {} sessions", options.sessions);
    if (!options.idle) text += fmt::format(" × {} {}", options.streams, slots(options));
  }
  if (options.in_flight > 1) text += fmt::format(" × {} messages", options.in_flight);
  return text;
}

}  // namespace

void BenchReport::count_error(const Error& error) {
  // Kinds, not instances: what differs from one to the next (ports, reasons) is left out.
  std::string kind;
  switch (error.domain) {
    case Domain::tern:
    case Domain::http: kind = error.detail; break;
    default: kind = error.to_string(); break;
  }
  kind = kind.substr(0, 100);
  if (errors.size() >= kMaxKinds && errors.find(kind) == errors.end()) kind = "others";
  ++errors[kind];
}

std::uint64_t BenchReport::error_count() const {
  std::uint64_t sum = 0;
  for (const auto& [kind, count] : errors) sum += count;
  return sum;
}

void print_bench(const BenchOptions& options, const BenchReport& report) {
  const Paint paint(stdout);
  const auto row = [&](std::string_view name, const std::string& value) {
    fmt::print("  {} {}\n", paint.dim(fmt::format("{:<12}", name)), value);
  };
  fmt::print("{}\n", paint.bold(report.url));
  row("server", report.remote + " · " + report.protocol +
                    (report.handshake.empty() ? "" : " · " + report.handshake));
  row("client", report.engine);
  const std::uint64_t count = units(options, report);
  if (options.idle) {
    const std::string sessions =
        options.webtransport ? fmt::format(" with {} sessions each", options.sessions) : "";
    row("connections", fmt::format("{}{} idle for {}", human_count(report.connections), sessions,
                                   human_duration(report.elapsed)));
  } else if (options.connect) {
    row("handshakes",
        paint.bold(fmt::format("{:.0f}/s", each_second(report.handshakes, report.elapsed))) +
            fmt::format(" · {} in {} · {} resumed · {} at a time", human_count(report.handshakes),
                        human_duration(report.elapsed), human_count(report.resumed),
                        options.connections));
    row("latency", percentiles(report.latency));
  } else {
    row(std::string(unit(options)) + "s",
        paint.bold(fmt::format("{:.0f}/s", each_second(report.requests, report.elapsed))) +
            fmt::format(" · {} in {} · {}", human_count(report.requests),
                        human_duration(report.elapsed), shape(options)));
    row("bytes",
        fmt::format(
            "{}/s · {}",
            human_bytes(static_cast<std::uint64_t>(each_second(report.bytes, report.elapsed))),
            human_bytes(report.bytes)));
    row("latency", percentiles(report.latency));
    std::string statuses;
    for (const auto& [status, number] : report.statuses) {
      statuses +=
          fmt::format("{}{} × {}", statuses.empty() ? "" : ", ", human_count(number), status);
    }
    if (!options.websocket && !options.webtransport)
      row("status", statuses.empty() ? "none" : statuses);
  }
  if (!options.connect) row("connect", percentiles(report.connect));
  const auto cpu = [&](Duration used) {
    std::string text = fmt::format("{:.2f} s, {:.0f} % of a core", seconds(used),
                                   100 * seconds(used) / std::max(1e-9, seconds(report.elapsed)));
    if (count != 0) {
      text += fmt::format(", {:.2f} µs a {}", seconds(used) * 1e6 / static_cast<double>(count),
                          unit(options));
    }
    if (report.bytes > 100'000'000) {
      text += fmt::format(", {:.2f} s a GiB",
                          seconds(used) / (static_cast<double>(report.bytes) / 1073741824.0));
    }
    return text;
  };
  row("client CPU", cpu(report.client_cpu));
  if (report.server_cpu) {
    row("server CPU", cpu(*report.server_cpu) + fmt::format(" (pid {})", *report.server_pid));
  }
  // With few connections, buffers and caches are all one would see.
  if (report.server_memory && report.server_memory_before && report.connections >= 100) {
    const auto grown = static_cast<double>(*report.server_memory) -
                       static_cast<double>(*report.server_memory_before);
    row("server memory", fmt::format("{} resident, {:+.1f} KiB a connection since the first",
                                     human_bytes(*report.server_memory),
                                     grown / 1024 / static_cast<double>(report.connections)));
  }
  if (report.errors.empty()) {
    row("errors", "none");
  } else {
    row("errors", paint.red(human_count(report.error_count())));
    for (const auto& [kind, number] : report.errors) {
      fmt::print("    {:>8} × {}\n", human_count(number), printable(kind));
    }
  }
}

void print_bench_json(const BenchOptions& options, const BenchReport& report) {
  JsonWriter json;
  json.begin_object().member("url", report.url).member("remote", report.remote);
  json.member("mode", options.idle ? "idle" : options.connect ? "connect" : "requests");
  json.member("protocol", report.protocol).member("handshake", report.handshake);
  json.member("client_engine", report.engine);
  json.member("connections", static_cast<std::uint64_t>(options.connections));
  json.member("streams", static_cast<std::uint64_t>(options.streams));
  if (options.websocket) json.member("in_flight", static_cast<std::uint64_t>(options.in_flight));
  json.member("unit", unit(options));
  if (options.webtransport) {
    json.member("sessions", static_cast<std::uint64_t>(options.sessions));
  }
  if (options.rate > 0) json.member("rate", options.rate);
  json.member("seconds", seconds(report.elapsed));
  json.member("requests", report.requests);
  json.member("requests_per_second", each_second(report.requests, report.elapsed));
  json.member("bytes", report.bytes);
  json.member("bytes_per_second", each_second(report.bytes, report.elapsed));
  json.member("handshakes", report.handshakes).member("resumed", report.resumed);
  json.member("handshakes_per_second", each_second(report.handshakes, report.elapsed));
  json.member("open_connections", report.connections);
  write_histogram(json, "latency_us", report.latency);
  write_histogram(json, "connect_us", report.connect);
  json.key("statuses").begin_object();
  for (const auto& [status, number] : report.statuses) json.member(std::to_string(status), number);
  json.end().key("errors").begin_object();
  for (const auto& [kind, number] : report.errors) json.member(kind, number);
  json.end().member("error_count", report.error_count());
  json.member("client_cpu_seconds", seconds(report.client_cpu));
  if (report.server_pid) json.member("server_pid", *report.server_pid);
  if (report.server_cpu) json.member("server_cpu_seconds", seconds(*report.server_cpu));
  if (report.server_memory) json.member("server_memory_bytes", *report.server_memory);
  if (report.server_memory_before) {
    json.member("server_memory_before_bytes", *report.server_memory_before);
  }
  json.end();
  fmt::print("{}\n", json.text());
}

}  // namespace tern::cli
