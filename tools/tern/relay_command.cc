#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/runtime.h"
#include "tools/relay/relay.h"
#include "tools/tern/commands.h"
#include "tools/tern/input_file.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/option_values.h"
#include "tools/tern/relay_report.h"
#include "tools/tern/relay_settings.h"
#include "tools/tern/serve_log.h"
#include "tools/tern/signals.h"
#include "tools/tern/terminal.h"
#include "transport/engine/engine.h"

namespace tern::cli {
namespace {

constexpr std::size_t kMaxScript = 1024 * 1024;

struct RelayFlags {
  std::vector<std::string> listen;
  std::vector<std::string> to;
  std::string scenario;
  std::string script;
  /// Of both directions first, then of one.
  std::vector<std::pair<relay::Direction, std::function<void(sim::ChannelModel&)>>> changes;
  std::optional<Duration> first_rebind;
  std::optional<Duration> rebind_every;
  bool rebind_address = false;
  std::vector<std::string> outside;
  std::optional<Duration> nat_timeout;
  bool nat_symmetric = false;
  std::string nat = "carrier";
  std::uint64_t seed = 1;
  std::string pcap_client;
  std::string pcap_server;
  std::optional<std::size_t> max_clients;
  std::optional<Duration> idle_timeout;
  engine::EngineKind engine = engine::EngineKind::automatic;
  bool udp = false;
  bool tcp = false;
  bool json = false;
  bool verbose = false;
};

/// "9000", ":9000", "127.0.0.1:9000", "[::1]:9000".
udp::Address listen_address(const std::string& text) {
  const bool port_only =
      !text.empty() && text.find_first_not_of("0123456789", text[0] == ':') == std::string::npos;
  const std::string full = port_only ? "127.0.0.1:" + text.substr(text[0] == ':' ? 1 : 0) : text;
  const auto address = udp::Address::parse(full);
  if (!address) {
    fail_with(ExitCode::usage,
              fmt::format("--listen: '{}' is no address: write PORT or IP:PORT", text));
  }
  return *address;
}

udp::Address outside_address(const std::string& text) {
  const auto address = udp::Address::parse_ip(text, 0);
  if (!address) {
    fail_with(ExitCode::usage, fmt::format("--outside: '{}' is no IP address", text));
  }
  return *address;
}

std::string read_text(const std::string& path) {
  Result<std::string> text = read_input(path, kMaxScript);
  if (!text) fail_with(ExitCode::usage, "--script: " + text.error().detail);
  return *std::move(text);
}

class RelayRun {
 public:
  explicit RelayRun(const RelayFlags& flags)
      : flags_(flags),
        messages_(lines_, flags.json,
                  flags.json || flags.verbose ? LogLevel::info : LogLevel::warning) {}

  ExitCode run() {
    relay::RelayOptions options = make_options();
    const auto network = engine::open(engine::EngineOptions().kind(flags_.engine));
    if (!network) fail_with(network.error(), "--engine");
    Runtime runtime(**network);
    runtime.log_to(messages_);
    // Before the resolver's thread: it leaves these signals to this one.
    SignalThread signals({SIGINT, SIGTERM, SIGUSR1}, [&](int signal) {
      if (signal != SIGUSR1) return runtime.stop();
      runtime.submit([&] { print_stats(runtime.now(), "counters"); });
    });
    add_routes(options, runtime, **network);
    auto opened = relay::Relay::open(runtime, **network, options);
    if (!opened) {
      const Error& error = opened.error();
      fail_with(error.is(Code::invalid) ? ExitCode::usage : ExitCode::failed,
                error.domain == Domain::tern ? error.detail : error.to_string());
    }
    relay_ = opened->get();
    began_ = runtime.now();
    announce((*network)->description());
    runtime.run();
    print_stats(runtime.now(), "stats");
    relay_ = nullptr;
    opened->reset();  // which writes what captures still lack
    finish(client_file_, "--pcap-client " + flags_.pcap_client);
    finish(server_file_, "--pcap-server " + flags_.pcap_server);
    return ExitCode::done;
  }

 private:
  // ---- options

  relay::RelayOptions make_options() {
    RelayPlan plan;
    try {
      if (!flags_.scenario.empty()) read_scenario(flags_.scenario, flags_.seed, plan);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, fmt::format("--scenario: {}", error.what()));
    }
    try {
      if (!flags_.script.empty()) read_script(read_text(flags_.script), flags_.script, plan);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    }
    for (const auto& [direction, change] : flags_.changes) plan.apply(direction, change);
    add_rebinding(plan);

    check_some_time("--nat-timeout", flags_.nat_timeout);
    check_some_time("--idle-timeout", flags_.idle_timeout);
    relay::RelayOptions options;
    // Neither flag: both.
    options.udp(flags_.udp || !flags_.tcp).tcp(flags_.tcp || !flags_.udp);
    options.seed(flags_.seed).to_server(plan.to_server).to_client(plan.to_client);
    for (relay::Timeline& timeline : plan.timelines) options.timeline(std::move(timeline));
    for (const std::string& address : flags_.outside) options.outside(outside_address(address));
    sim::NatOptions nat;
    const Duration nat_timeout = flags_.nat_timeout.value_or(relay::RelayOptions::kForever);
    nat.timeout(nat_timeout).tcp_timeout(nat_timeout);
    nat.symmetric(flags_.nat_symmetric);
    options.nat(nat);
    options.nat_place(flags_.nat == "home" ? relay::NatPlace::home : relay::NatPlace::carrier);
    if (flags_.max_clients) options.max_clients(*flags_.max_clients);
    if (flags_.idle_timeout) options.idle_timeout(*flags_.idle_timeout);
    if (open(client_file_, flags_.pcap_client, "--pcap-client")) {
      options.capture_clients(client_file_);
    }
    if (open(server_file_, flags_.pcap_server, "--pcap-server")) {
      options.capture_servers(server_file_);
    }
    return options;
  }

  void add_rebinding(RelayPlan& plan) const {
    if (!flags_.first_rebind && !flags_.rebind_every) {
      if (flags_.rebind_address) {
        fail_with(ExitCode::usage, "--rebind-address wants --first-rebind or --rebind-every");
      }
      return;
    }
    check_some_time("--rebind-every", flags_.rebind_every);
    const Duration every = flags_.rebind_every.value_or(Duration{0});
    try {
      plan.timelines.push_back(
          rebinding(flags_.first_rebind.value_or(every), every, flags_.rebind_address));
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, fmt::format("--rebind-every: {}", error.what()));
    }
  }

  void add_routes(relay::RelayOptions& options, Runtime& runtime, udp::Network& network) const {
    if (flags_.listen.size() != flags_.to.size()) {
      fail_with(ExitCode::usage, "each --listen wants its --to, in the same order");
    }
    for (std::size_t i = 0; i < flags_.to.size(); ++i) {
      options.route(listen_address(flags_.listen[i]), resolve(flags_.to[i], runtime, network));
    }
  }

  /// The server's address. Of localhost's, the IPv4 one: 127.0.0.0/8 has others to change to.
  static udp::Address resolve(const std::string& text, Runtime& runtime, udp::Network& network) {
    if (const auto literal = udp::Address::parse(text)) return *literal;
    const std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    if (colon == std::string::npos || colon == 0 ||
        std::from_chars(text.data() + colon + 1, end, port).ptr != end || port == 0) {
      fail_with(ExitCode::usage, fmt::format("--to: '{}' is no server: write HOST:PORT", text));
    }
    const std::string host = text.substr(0, colon);
    std::optional<Result<std::vector<udp::Address>>> answer;
    network.resolve(host, port, [&](Result<std::vector<udp::Address>> result) {
      answer.emplace(std::move(result));
    });
    while (!answer && !runtime.stopping()) runtime.turn();
    if (!answer) fail_with(ExitCode::interrupted, "");
    if (!*answer || (*answer)->empty()) {
      fail_with(ExitCode::cannot_resolve, fmt::format("--to: cannot resolve '{}'", host));
    }
    const std::vector<udp::Address>& found = **answer;
    const auto v4_loopback = std::find_if(found.begin(), found.end(), [](const auto& address) {
      return address.is_v4() && address.is_loopback();
    });
    return v4_loopback == found.end() ? found.front() : *v4_loopback;
  }

  static bool open(std::ofstream& file, const std::string& path, const char* flag) {
    if (path.empty()) return false;
    file.open(path, std::ios::binary | std::ios::trunc);
    if (!file) fail_with(ExitCode::cannot_write, fmt::format("{}: cannot write {}", flag, path));
    return true;
  }

  static void finish(std::ofstream& file, const std::string& what) {
    if (!file.is_open()) return;
    file.close();
    if (!file) fail_with(ExitCode::cannot_write, what + ": cannot write all of it");
  }

  // ---- what people see

  void announce(const std::string& engine) {
    const std::vector<udp::Address> addresses = relay_->addresses();
    if (flags_.json) {
      JsonWriter json;
      json.begin_object().member("event", "listening").key("routes").begin_array();
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        json.begin_object().member("listen", addresses[i].to_string());
        json.member("to", flags_.to[i]).end();
      }
      json.end().member("seed", flags_.seed).member("engine", engine).end();
      lines_.line(LogLevel::info, json.text());
      return;
    }
    const Paint paint(stdout);
    std::string text;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      text += fmt::format("{} relays {} to {}\n", paint.bold("tern " TERN_VERSION),
                          paint.bold(addresses[i].to_string()), flags_.to[i]);
    }
    text += fmt::format("{} {}, seed {}. Ctrl-C stops it and prints what happened", paint.dim("on"),
                        engine, flags_.seed);
    lines_.line(LogLevel::info, text);
  }

  void print_stats(Timestamp now, const char* event) {
    const relay::RelayStats stats = relay_->stats();
    const double seconds = std::chrono::duration<double>(now - began_).count();
    lines_.line(LogLevel::info,
                flags_.json ? relay_stats_json(stats, seconds, event) : relay_stats_text(stats));
  }

  const RelayFlags& flags_;
  LineWriter lines_;
  MessageLog messages_;
  // Streams of captures: before the relay that writes to them.
  std::ofstream client_file_;
  std::ofstream server_file_;
  relay::Relay* relay_ = nullptr;
  Timestamp began_{};
};

/// Every setting of the link is a flag for both directions.
void add_link_flags(CLI::App& verb, RelayFlags& flags) {
  const auto note = [&flags](const std::string& flag, relay::Direction direction,
                             const auto& parse) {
    try {
      flags.changes.emplace_back(direction, parse());
    } catch (const std::invalid_argument& error) {
      throw CLI::ValidationError(flag, error.what());
    }
  };
  for (const LinkSetting& setting : link_settings()) {
    const std::string name = setting.name;
    const std::string flag = "--" + name;
    if (*setting.value == '\0') {
      verb.add_flag_function(
              flag,
              [note, name, flag](std::int64_t) {
                note(flag, relay::Direction::both,
                     [&] { return parse_link_setting(name, "true"); });
              },
              setting.help)
          ->group("Link, both directions");
      continue;
    }
    verb.add_option_function<std::string>(
            flag,
            [note, name, flag](const std::string& value) {
              note(flag, relay::Direction::both, [&] { return parse_link_setting(name, value); });
            },
            setting.help)
        ->type_name(setting.value)
        ->group("Link, both directions");
  }
  const std::pair<const char*, relay::Direction> directions[] = {
      {"--up", relay::Direction::to_server}, {"--down", relay::Direction::to_client}};
  for (const auto& [name, direction] : directions) {
    const std::string flag = name;
    verb.add_option_function<std::vector<std::string>>(
            flag,
            [note, flag, direction](const std::vector<std::string>& values) {
              for (const std::string& value : values) {
                note(flag, direction, [&] { return parse_link_settings(value); });
              }
            },
            direction == relay::Direction::to_server
                ? "Settings of the way to the server alone, as loss=5%,rate=3mbps"
                : "Settings of the way to the client alone")
        ->type_name("SETTINGS")
        ->allow_extra_args(false)
        ->group("Link, one direction");
  }
}

}  // namespace

void add_relay(CLI::App& app, ExitCode& result) {
  auto flags = std::make_shared<RelayFlags>();
  CLI::App* verb =
      app.add_subcommand("relay", "A bad network between any client and server, without root");
  verb->add_option("-l,--listen", flags->listen,
                   "Where clients send to: PORT on 127.0.0.1, or IP:PORT; port 0: any free one")
      ->type_name("ADDR")
      ->required()
      ->allow_extra_args(false);
  verb->add_option("-t,--to", flags->to, "The server; for each --listen one, in the same order")
      ->type_name("HOST:PORT")
      ->required()
      ->allow_extra_args(false);
  verb->add_flag("--udp", flags->udp, "UDP only; without this and the next: both");
  verb->add_flag("--tcp", flags->tcp, "TCP only");
  verb->add_option("--seed", flags->seed, "Decides which packets are hit (default: 1)")
      ->check(whole_number())
      ->type_name("N");
  add_link_flags(*verb, *flags);

  const std::string nat = "NAT";
  verb->add_option("--nat", flags->nat,
                   "carrier: beyond the link, which a rebinding leaves alone; home: before it")
      ->check(CLI::IsMember({"carrier", "home"}))
      ->option_text("PLACE (carrier)")
      ->group(nat);
  add_duration(*verb, "--first-rebind", flags->first_rebind,
               "When the NAT first forgets its ports: clients appear at new ones")
      ->group(nat);
  add_duration(*verb, "--rebind-every", flags->rebind_every, "And again after each of these")
      ->group(nat);
  verb->add_flag("--rebind-address", flags->rebind_address, "Rebindings change the address as well")
      ->group(nat);
  verb->add_option("--outside", flags->outside,
                   "Addresses of this machine that servers see, in turn; for 127.0.0.1 it knows")
      ->type_name("IP")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(nat);
  add_duration(*verb, "--nat-timeout", flags->nat_timeout,
               "Forget what a silent client was mapped to (default: never)")
      ->group(nat);
  verb->add_flag("--nat-symmetric", flags->nat_symmetric, "Another port for each server")
      ->group(nat);

  const std::string scenarios = "Scenarios";
  verb->add_option("--script", flags->script, "TOML file: settings and a timeline (docs/relay.md)")
      ->type_name("FILE")
      ->group(scenarios);
  verb->add_option("--scenario", flags->scenario,
                   "One of `tern handoff` by its name, as walk-out-of-wifi; or one of the QUIC "
                   "interop runner with its options, in quotes")
      ->type_name("SCENARIO")
      ->group(scenarios);

  verb->add_option("--pcap-client", flags->pcap_client, "Write what clients send and get (pcapng)")
      ->type_name("FILE");
  verb->add_option("--pcap-server", flags->pcap_server, "Write what servers get and send (pcapng)")
      ->type_name("FILE");
  verb->add_option("--max-clients", flags->max_clients,
                   "Drop what more send (default: 1024, at most 16000)")
      ->check(whole_number(1, 16'000))
      ->type_name("N");
  add_duration(*verb, "--idle-timeout", flags->idle_timeout, "Forget silent clients (default: 5m)");
  add_engine(*verb, flags->engine);
  verb->add_flag("-v,--verbose", flags->verbose, "Say what happens: new ports, cuts, changes");
  verb->add_flag("--json", flags->json, "Events and counters as JSON, one object a line");
  verb->footer(
      "Flags count after --script and --scenario. Times count from a client's first packet.\n"
      "Signals: USR1 prints counters; INT, TERM print them and stop.\n\n"
      "Examples:\n"
      "  tern relay -l 9000 -t localhost:4433 --delay 40ms --rate 5mbps --loss 1%\n"
      "  tern relay -l 9000 -t localhost:4433 --rebind-every 5s --rebind-address\n"
      "  tern relay -l 9000 -t 192.0.2.7:443 --down rate=20mbps,queue=100p --up rate=2mbps\n"
      "  tern relay -l 9000 -t localhost:4433 --scenario walk-out-of-wifi -v\n"
      "  tern relay -l 9000 -t localhost:4433 --scenario \"blackhole --delay=15ms\n"
      "      --bandwidth=10Mbps --queue=25 --on=5s --off=2s\"\n"
      "  tern get -k https://localhost:9000/hello");
  verb->callback([flags, &result] { result = RelayRun(*flags).run(); });
}

}  // namespace tern::cli
