#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "http/uri.h"
#include "tools/tern/bench_load.h"
#include "tools/tern/bench_options.h"
#include "tools/tern/bench_report.h"
#include "tools/tern/commands.h"
#include "tools/tern/environment.h"
#include "tools/tern/option_values.h"
#include "tools/tern/socket_client.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

void check_options(const BenchOptions& options) {
  check_ca_file(options.ca_file, "--cacert", ExitCode::bad_ca);
  if (options.connect && options.idle) {
    fail_with(ExitCode::usage, "--connect and --idle exclude each other");
  }
  if ((options.websocket || options.webtransport) && (options.connect || !options.method.empty())) {
    fail_with(ExitCode::usage,
              "WebSocket and WebTransport have no --request, and --connect measures none");
  }
  if (!options.webtransport && (options.datagrams || options.sessions > 1)) {
    fail_with(ExitCode::usage, "--datagrams and --sessions are about WebTransport: a wt:// URL");
  }
  if (options.datagrams && options.rate > 0) {
    fail_with(ExitCode::usage, "--datagrams go as fast as they come back: there is no --rate");
  }
  if (options.datagrams && !options.data.empty() && options.data.size() < sizeof(std::int64_t)) {
    fail_with(ExitCode::usage,
              "a datagram carries the time it was sent: 8 bytes of --data at least");
  }
  if (options.in_flight > 1 && (!options.websocket || options.rate > 0)) {
    fail_with(ExitCode::usage, "--in-flight is about WebSockets, and not together with --rate");
  }
  check_some_time("--duration", options.duration);
  if (options.idle && options.requests) {
    fail_with(ExitCode::usage, "--idle sends no requests: it takes --duration, not --requests");
  }
  if (options.resume && !options.connect) {
    fail_with(ExitCode::usage, "--resume is about handshakes: it wants --connect");
  }
}

/// "wss://…" and "ws://…" are WebSockets' names for what is https and http to the connection, wt://
/// is WebTransport's.
std::string connection_url(const BenchOptions& options) {
  if (options.webtransport) return "https" + options.url.substr(2);
  return options.websocket ? "http" + options.url.substr(2) : options.url;
}

/// What the flags and the URL come to: the protocol, and the requests at a time.
void settle(BenchOptions& options, const http::Url& url, bool proxied) {
  const bool clear = url.scheme() == "http";
  const BenchProtocol usual = clear     ? BenchProtocol::http1
                              : proxied ? BenchProtocol::http2
                                        : BenchProtocol::http3;
  options.protocol = options.asked_protocol.value_or(usual);
  if (proxied && options.protocol == BenchProtocol::http3) {
    fail_with(ExitCode::usage,
              "HTTP/3 goes through no HTTP proxy: take --http2, or --noproxy '*' around it");
  }
  if (clear && options.protocol == BenchProtocol::http3) {
    fail_with(ExitCode::bad_url, "URL '" + options.url + "': HTTP/3 wants https://");
  }
  if (clear && options.resume) {
    fail_with(ExitCode::usage, "--resume wants TLS: an https:// URL");
  }
  // WebTransport goes over a WebSocket there, which has its own streams.
  const bool serial = options.protocol == BenchProtocol::http1 && !options.webtransport;
  if (options.protocol == BenchProtocol::http1 && options.sessions > 1) {
    fail_with(ExitCode::usage, "HTTP/1.1 has one session on a connection");
  }
  if (serial && options.asked_streams.value_or(1) > 1) {
    fail_with(ExitCode::usage,
              "HTTP/1.1 has one request at a time on a connection: -m is 1, take more "
              "connections (-c)");
  }
  options.streams = options.asked_streams.value_or(serial ? 1 : 10);
  if (options.protocol == BenchProtocol::http3) return;
  if (options.chacha20) fail_with(ExitCode::usage, "--chacha20 is about HTTP/3");
  if (!options.versions.empty()) fail_with(ExitCode::usage, "--quic-version is about HTTP/3");
  if (!options.qlog.empty()) fail_with(ExitCode::usage, "--qlog is about HTTP/3");
  if (options.congestion_chosen) fail_with(ExitCode::usage, "--congestion is about HTTP/3");
}

ExitCode run(BenchOptions& options) {
  options.websocket = options.url.starts_with("wss://") || options.url.starts_with("ws://");
  options.webtransport = options.url.starts_with("wt://");
  check_options(options);
  auto url = http::Url::parse(connection_url(options));
  if (!url) fail_with(ExitCode::bad_url, url.error().detail);
  ProxyOptions proxies = proxy_options(options);
  settle(options, *url, proxies.proxy_for(*url).has_value());
  if (options.server_pid != 0 && !process_use(options.server_pid)) {
    fail_with(ExitCode::usage,
              fmt::format("--server-pid {}: there is no such process", options.server_pid));
  }
  raise_descriptor_limit();
  Load* running = nullptr;
  Interrupts interrupts([&running] { running->stop(); });
  auto network = engine::open(engine::EngineOptions().kind(options.engine));
  if (!network) fail_with(ExitCode::failed, network.error().detail);
  BenchReport report;
  Result<void> outcome;
  {
    Runtime runtime(**network);
    Load load(runtime, **network, options, std::move(*url), std::move(proxies));
    running = &load;
    interrupts.begin(runtime);
    ProgressLine progress;
    Timestamp begun = runtime.now();
    Timer timer(runtime.timers(), [&](Timestamp now) {
      progress.show(fmt::format("{:.0f} s  {}{} done",
                                std::chrono::duration<double>(now - begun).count(),
                                load.measuring() ? "" : "warming up  ", human_count(load.done())));
      timer.arm(now + 500ms);
    });
    if (progress.on() && !options.json) timer.arm(begun + 1s);
    outcome = runtime.block_on(load.run(report));
    interrupts.end();
  }
  if (!outcome) {
    const ExitCode code = exit_code(outcome.error());
    fail_with(code, options.url + ": " + failure_message(outcome.error(), code));
  }
  if (options.json) {
    print_bench_json(options, report);
  } else {
    print_bench(options, report);
  }
  const bool nothing = !options.idle && report.latency.count() == 0;
  return nothing ? ExitCode::failed : ExitCode::done;
}

}  // namespace

void add_bench(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<BenchOptions>();
  BenchOptions& o = *options;
  CLI::App* verb =
      app.add_subcommand("bench", "Load a server and measure it: HTTP/3, HTTP/2, HTTP/1.1");
  verb->add_option(
          "URL", o.url,
          "https://host[:port]/path; wss:// of a WebSocket that echoes, wt:// of WebTransport\n"
          "that does; http:// and ws:// without TLS")
      ->required()
      ->check(no_flag())
      ->type_name("");
  verb->add_option("-c,--connections", o.connections,
                   "Connections; with --connect handshakes at a time")
      ->check(whole_number(1, 100'000))
      ->option_text("N (10)");
  verb->add_option("-m,--streams", o.asked_streams,
                   "Requests at a time, or WebSockets, on each connection (HTTP/1.1: 1);\n"
                   "streams or datagrams at a time in each WebTransport session")
      ->check(whole_number(1, 1000))
      ->option_text("N (10)");
  const auto protocol = [verb, &o](const char* flag, const char* help, BenchProtocol which) {
    return verb->add_flag_callback(flag, [&o, which] { o.asked_protocol = which; }, help);
  };
  CLI::Option* const three =
      protocol("--http3-only", "HTTP/3 (the default for https://)", BenchProtocol::http3);
  CLI::Option* const two = protocol(
      "--http2", "HTTP/2 over TCP; for http:// URLs with prior knowledge", BenchProtocol::http2);
  CLI::Option* const one =
      protocol("--http1.1", "HTTP/1.1 over TCP (the default for http://)", BenchProtocol::http1);
  three->excludes(two)->excludes(one);
  two->excludes(one);
  verb->add_option("--in-flight", o.in_flight, "Messages at a time on each WebSocket")
      ->check(whole_number(1, 1000))
      ->option_text("N (1)");
  verb->add_flag("--datagrams", o.datagrams, "Datagrams of WebTransport, instead of streams");
  verb->add_option("--sessions", o.sessions, "WebTransport sessions on each connection")
      ->check(whole_number(1, 1000))
      ->option_text("N (1)");
  verb->add_option("-n,--requests", o.requests, "Stop after so many requests, or handshakes")
      ->check(whole_number(1))
      ->type_name("N");
  add_duration(*verb, "-D,--duration", o.duration, "Stop after this time (default: 5s without -n)");
  add_duration(*verb, "--warm-up", o.warm_up, "Run this long before measuring");
  verb->add_option("--rate", o.rate,
                   "Requests a second over all, each at its time, and latency counted from it")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            double rate = 0;
            const char* const end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, rate);
            const bool good = error == std::errc() && rest == end && rate > 0 && rate <= 1e9;
            return good ? std::string() : "'" + text + "' is no number above 0";
          },
          ""))
      ->option_text("N");
  verb->add_flag("--connect", o.connect, "Measure handshakes: connect, close, connect again");
  verb->add_flag("--resume", o.resume, "With --connect: resume a session");
  verb->add_flag("--idle", o.idle, "Only keep the connections open: memory of the server");
  verb->add_option("-X,--request", o.method, "Method")->type_name("NAME");
  verb->add_option("-H,--header", o.fields, "Header field")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false);
  verb->add_option("-d,--data", o.data,
                   "POST this; what goes on a WebSocket or in WebTransport (default: 64 bytes)")
      ->type_name("DATA");
  verb->add_flag("-k,--insecure", o.insecure, "Trust any certificate");
  verb->add_option("--cacert", o.ca_file, "Trust the CAs of this PEM file")->type_name("FILE");
  add_proxy_flags(*verb, o);
  verb->add_flag("--chacha20", o.chacha20, "Only TLS_CHACHA20_POLY1305_SHA256 (HTTP/3)");
  add_versions(*verb, o.versions, "Speak this QUIC version: 1 (default) or 2");
  add_congestion(*verb, o.congestion);
  add_engine(*verb, o.engine);
  verb->add_option("--server-pid", o.server_pid,
                   "Measure this process; default: the owner of the port (through a proxy: the\n"
                   "proxy's), if it is local")
      ->check(whole_number(1, INT32_MAX))
      ->type_name("PID");
  verb->add_option("--qlog", o.qlog, "Write a qlog file a connection (default: QLOGDIR)")
      ->type_name("DIR");
  verb->add_flag("--json", o.json, "Print one JSON object");
  verb->footer(
      "Examples:\n"
      "  tern bench -k https://localhost:4433/hello\n"
      "  tern bench -k -c 1 -m 1 -n 1 https://localhost:4433/bytes/1073741824\n"
      "  tern bench -k --connect -c 16 -D 10s https://localhost:4433/\n"
      "  tern bench -k --http2 -c 10 -m 100 https://localhost:4433/hello\n"
      "  tern bench --http1.1 -c 100 http://localhost:8080/hello\n"
      "  tern bench -k -c 4 -m 25 wss://localhost:4433/ws/echo\n"
      "  tern bench -k -c 4 -m 25 --datagrams wt://localhost:4433/wt/echo\n"
      "  tern bench -k -c 1 -m 1 -n 1 -d 1073741824 wt://localhost:4433/wt/bytes\n"
      "  tern bench -k --rate 5000 -D 30s --warm-up 2s --json https://localhost:4433/hello");
  verb->callback([options, verb, &result] {
    options->congestion_chosen = verb->get_option("--congestion")->count() > 0;
    result = run(*options);
  });
}

}  // namespace tern::cli
