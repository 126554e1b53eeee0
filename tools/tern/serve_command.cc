#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "gateway/server.h"
#include "http/access_log.h"
#include "http/router.h"
#include "http/static_files.h"
#include "tools/tern/commands.h"
#include "tools/tern/config_file.h"
#include "tools/tern/demo_site.h"
#include "tools/tern/dev_certificate.h"
#include "tools/tern/environment.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/option_values.h"
#include "tools/tern/own_name.h"
#include "tools/tern/serve_log.h"
#include "tools/tern/signals.h"
#include "tools/tern/terminal.h"
#include "transport/quic/cid.h"
#include "transport/tls/private_file.h"

namespace tern::cli {
namespace {

struct ServeOptions {
  std::string config;
  std::string folder;
  std::vector<std::string> listen;
  bool no_tcp = false;
  std::vector<std::string> http;
  std::vector<std::string> certificates;
  std::vector<std::string> keys;
  std::string client_ca;
  std::size_t workers = 1;
  engine::EngineKind engine = engine::EngineKind::automatic;
  quic::Congestion congestion = quic::Congestion::cubic;
  std::vector<std::uint32_t> versions;
  bool retry = false;
  bool no_early_data = false;
  bool chacha20 = false;
  bool autoindex = false;
  bool dotfiles = false;
  std::string cache_control;
  std::string log = "text";
  std::string qlog;
  std::string state_dir;
  std::string server_id;
  std::string cid_key;
  int cid_rotation = 0;
  std::vector<std::string> preferred;
  std::optional<std::size_t> max_connections;
  std::optional<Duration> idle_timeout;
  std::optional<Duration> drain_timeout;
  std::optional<Duration> key_rotation;
  std::optional<Duration> max_connection_age;
  std::optional<Duration> max_connection_age_grace;
  std::string handover;
  std::optional<Duration> handover_drain;
};

/// What went wrong before the server ran: wrong words are usage errors.
[[noreturn]] void fail_start(const Error& error) {
  fail_with(error.is(Code::invalid) ? ExitCode::usage : ExitCode::failed,
            error.domain == Domain::tern ? error.detail : error.to_string());
}

class Serve {
 public:
  explicit Serve(const ServeOptions& options)
      : options_(options), json_(options.log == "json"), messages_(lines_, json_) {}

  ExitCode run() {
    raise_descriptor_limit();
    ServerOptions server_options = make_options();
    http::Handler handler = make_handler();
    server_.emplace(std::move(server_options));
    // Before the workers' threads: they leave these signals to this one.
    SignalThread signals({SIGINT, SIGTERM, SIGHUP, SIGUSR1},
                         [this](int signal) { handle_signal(signal); });
    const Result<void> started = server_->start(std::move(handler));
    if (!started) fail_start(started.error());
    announce();
    server_->wait();
    say("stopped");
    return ExitCode::done;
  }

 private:
  ServerOptions make_options() {
    ServerOptions server;
    choose_certificates(server);
    for (const std::string& address : options_.listen) server.listen(listen_address(address));
    for (const std::string& address : options_.http) server.cleartext(listen_address(address));
    server.tcp(!options_.no_tcp);
    for (const std::string& address : options_.preferred) server.preferred_address(address);
    server.workers(options_.workers)
        .engine(engine::EngineOptions().kind(options_.engine))
        .congestion(options_.congestion)
        .early_data(!options_.no_early_data)
        .chacha20_only(options_.chacha20)
        .key_log(key_log_from_environment())
        .qlog(qlog_from_environment(options_.qlog))
        .log(messages_);
    if (options_.retry) server.retry(quic::RetryPolicy::always);
    check_ca_file(options_.client_ca, "--client-ca");
    if (!options_.client_ca.empty()) server.client_ca(options_.client_ca);
    if (!options_.versions.empty()) server.versions(options_.versions);
    if (!options_.state_dir.empty()) server.state_dir(options_.state_dir);
    if (options_.key_rotation) server.key_rotation(*options_.key_rotation);
    server.cids(cid_config());
    if (options_.max_connections) server.max_connections(*options_.max_connections);
    if (options_.idle_timeout) server.idle_timeout(*options_.idle_timeout);
    if (options_.drain_timeout) server.drain_timeout(*options_.drain_timeout);
    check_combinations();
    if (options_.max_connection_age) server.max_connection_age(*options_.max_connection_age);
    if (options_.max_connection_age_grace) {
      server.max_connection_age_grace(*options_.max_connection_age_grace);
    }
    if (!options_.handover.empty()) server.handover(options_.handover);
    if (options_.handover_drain) server.handover_drain(*options_.handover_drain);
    if (options_.log != "off") {
      server.access_log(http::AccessLog(
          lines_, json_ ? http::AccessLogFormat::json : http::AccessLogFormat::text));
    }
    return server;
  }

  quic::CidConfig cid_config() const {
    quic::CidConfig cids;
    cids.rotation(static_cast<std::uint8_t>(options_.cid_rotation));
    if (!options_.server_id.empty()) {
      const auto id = quic::parse_machine_id(options_.server_id);
      if (!id) fail_with(ExitCode::usage, "--server-id: " + id.error().detail);
      cids.machine_id(*id);
    }
    if (!options_.cid_key.empty()) {
      const auto text = tls::read_file(options_.cid_key);
      if (!text) fail_with(ExitCode::usage, "--cid-key: " + text.error().detail);
      const auto key = quic::parse_cid_key(*text);
      if (!key) fail_with(ExitCode::usage, options_.cid_key + ": " + key.error().detail);
      cids.key(*key);
    }
    return cids;
  }

  void choose_certificates(ServerOptions& server) {
    if (options_.certificates.size() != options_.keys.size()) {
      fail_with(ExitCode::usage, "each --cert FILE wants its --key FILE");
    }
    for (std::size_t i = 0; i < options_.certificates.size(); ++i) {
      server.certificate(options_.certificates[i], options_.keys[i]);
    }
    if (!options_.certificates.empty()) return;
    dev_ = dev_certificate(dev_wish());
    server.certificate(dev_->chain_file, dev_->key_file);
  }

  static DevCertificateWish dev_wish() {
    DevCertificateWish wish;
    wish.folder = data_folder();
    wish.way_out = "give --cert and --key";
    return wish;
  }

  /// "4433" is short for ":4433".
  static std::string listen_address(const std::string& text) {
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
      return ":" + text;
    }
    return text;
  }

  void check_combinations() const {
    if (options_.max_connection_age_grace && !options_.max_connection_age) {
      fail_with(ExitCode::usage, "--max-connection-age-grace wants --max-connection-age");
    }
    if (options_.handover_drain && options_.handover.empty()) {
      fail_with(ExitCode::usage, "--handover-drain wants --handover");
    }
  }

  void check_no_folder_flags() const {
    const char* const flag = options_.autoindex                ? "--autoindex"
                             : options_.dotfiles               ? "--dotfiles"
                             : !options_.cache_control.empty() ? "--cache-control"
                                                               : nullptr;
    if (flag != nullptr) {
      fail_with(ExitCode::usage, fmt::format("{} is about a folder: name it, as in `tern serve "
                                             "public {}`",
                                             flag, flag));
    }
  }

  http::Handler make_handler() {
    if (options_.folder.empty()) {
      check_no_folder_flags();
      chat::Certificates development;
      // Set before a request comes, and there for as long as one may.
      if (dev_) development = [this] { return server_->certificates(); };
      return demo_site(std::move(development));
    }
    if (!http::Fields::valid_value(options_.cache_control)) {
      fail_with(ExitCode::usage,
                "--cache-control: no header's value has a line end, or a blank at "
                "its beginning or end");
    }
    auto files =
        http::StaticFiles::open(options_.folder, http::StaticFilesOptions()
                                                     .listing(options_.autoindex)
                                                     .dotfiles(options_.dotfiles)
                                                     .cache_control(options_.cache_control));
    if (!files) fail_with(ExitCode::usage, files.error().detail);
    http::Router router;
    router.mount("/", std::move(*files));
    return router;
  }

  // ---- what people see

  std::string url() const {
    const udp::Address address = server_->addresses().front();
    const tls::Certificate certificate = server_->certificates().front();
    std::string host;
    if ((address.is_wildcard() || address.is_loopback()) && certificate.covers("localhost")) {
      host = "localhost";
    } else if (!address.is_wildcard() && certificate.covers(address.ip_string())) {
      host = address.is_v6() ? "[" + address.ip_string() + "]" : address.ip_string();
    } else {
      host = certificate.names().empty() ? "localhost" : certificate.names().front();
      if (host.starts_with("*.")) host.replace(0, 1, "www");
    }
    return fmt::format("https://{}{}/", host,
                       address.port() == 443 ? "" : fmt::format(":{}", address.port()));
  }

  static std::string day(UnixSeconds seconds) {
    const std::time_t time = static_cast<std::time_t>(seconds);
    std::tm utc{};
    gmtime_r(&time, &utc);
    return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
  }

  std::string line_to_try() const {
    const std::string target = options_.folder.empty() ? url() + "hello" : url();
    const std::string mtls = options_.client_ca.empty() ? "" : " --cert CERT --key KEY";
    const std::string tern = own_name();
    if (dev_) return fmt::format("{} get --cacert {}{} {}", tern, dev_->ca_file, mtls, target);
    return fmt::format("{} get{} {}", tern, mtls, target);
  }

  static std::string joined(const std::vector<udp::Address>& addresses) {
    std::string text;
    for (const udp::Address& address : addresses) {
      text += (text.empty() ? "" : ", ") + address.to_string();
    }
    return text;
  }

  void announce() {
    const tls::Certificate certificate = server_->certificates().front();
    const std::string addresses = joined(server_->addresses());
    const std::string cleartext = joined(server_->cleartext_addresses());
    if (json_) {
      JsonWriter json;
      json.begin_object().member("event", "listening").member("url", url());
      json.member("addresses", addresses).member("tcp", server_->tcp());
      if (!cleartext.empty()) json.member("http_addresses", cleartext);
      json.member("engine", server_->engine());
      json.member("workers", static_cast<std::uint64_t>(server_->workers()));
      json.member("pid", static_cast<std::int64_t>(getpid()));
      json.member("spki_sha256", certificate.spki_sha256());
      json.member("certificate_expires", certificate.not_after());
      if (dev_) json.member("ca", dev_->ca_file);
      json.end();
      lines_.line(LogLevel::info, json.text());
      return;
    }
    const Paint paint(stdout);
    std::string text =
        fmt::format("{} serves {}\n\n", paint.bold("tern " TERN_VERSION),
                    options_.folder.empty() ? std::string("its demo site") : options_.folder);
    const auto row = [&](std::string_view name, std::string_view value) {
      text += fmt::format("  {} {}\n", paint.dim(fmt::format("{:<12}", name)), value);
    };
    row("URL", paint.bold(url()));
    row("listens on", addresses + (server_->tcp() ? " (UDP: HTTP/3; TCP: HTTP/2 and HTTP/1.1)"
                                                  : " (UDP: HTTP/3)"));
    if (!cleartext.empty()) row("without TLS", cleartext + " (TCP: HTTP/2 and HTTP/1.1)");
    row("engine", server_->engine());
    row("workers", std::to_string(server_->workers()));
    row("certificate",
        fmt::format("{}, until {}{}", certificate.key_type(), day(certificate.not_after()),
                    !dev_             ? ""
                    : dev_->made_leaf ? " (for development, made now)"
                                      : " (for development)"));
    row("SPKI SHA-256", certificate.spki_sha256());
    text += "\n";
    row("try", line_to_try());
    if (dev_) {
      const std::string page = url();
      const std::string authority = page.substr(8, page.size() - 9);
      row("Chromium", fmt::format("chromium --origin-to-force-quic-on={} "
                                  "--ignore-certificate-errors-spki-list={} {}",
                                  authority, certificate.spki_sha256(), page));
    }
    row("Ctrl-C", "lets requests finish, then stops; twice: at once");
    lines_.line(LogLevel::info, text);
  }

  void say(const std::string& text) { messages_.line(LogLevel::info, text); }

  // ---- signals, on their own thread

  void handle_signal(int signal) {
    if (signal == SIGUSR1) return print_counters();
    if (signal == SIGHUP) return reload();
    switch (++asked_to_stop_) {
      case 1:
        say("draining: new connections are refused, requests finish");
        server_->drain();
        break;
      case 2: server_->stop(); break;
      default: _exit(static_cast<int>(ExitCode::interrupted));
    }
  }

  void reload() {
    try {
      if (dev_) dev_ = dev_certificate(dev_wish());
    } catch (const Failure& failure) {
      messages_.line(LogLevel::error, failure.message);
      return;
    }
    const Result<void> reloaded = server_->reload_certificates();
    if (!reloaded) {
      messages_.line(LogLevel::error, "certificates stay as they are: " + reloaded.error().detail);
      return;
    }
    const tls::Certificate certificate = server_->certificates().front();
    say(fmt::format("certificates reloaded: {}, until {}, SPKI SHA-256 {}",
                    certificate.names().empty() ? "?" : certificate.names().front(),
                    day(certificate.not_after()), certificate.spki_sha256()));
  }

  void print_counters() {
    const auto counters = server_->counters();
    if (json_) {
      JsonWriter json;
      json.begin_object().member("event", "counters").key("counters").begin_object();
      for (const auto& [name, value] : counters) json.member(name, value);
      json.end().end();
      lines_.line(LogLevel::info, json.text());
      return;
    }
    std::string text = "counters";
    for (const auto& [name, value] : counters) {
      text += fmt::format("\n  {:<36} {:>14}", name, human_count(value));
    }
    lines_.line(LogLevel::info, text);
  }

  const ServeOptions& options_;
  const bool json_;
  LineWriter lines_;
  MessageLog messages_;
  std::optional<DevCertificate> dev_;
  std::optional<Server> server_;
  int asked_to_stop_ = 0;
};

}  // namespace

void add_serve(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* verb = app.add_subcommand(
      "serve", "Serve a folder, or the demo site, over HTTP/3, HTTP/2 and HTTP/1.1");
  verb->add_option("DIR", options->folder, "Folder to serve; without one, the built-in demo site")
      ->check(not_empty())
      ->type_name("");
  verb->add_option("--config", options->config,
                   "TOML file: the long options below are its keys; the command line overrides it")
      ->type_name("FILE");
  verb->add_option("-l,--listen", options->listen,
                   "IP address and port, :PORT or PORT; again for more; port 0: any free one")
      ->option_text("ADDR ([::]:4433)")
      ->allow_extra_args(false);
  verb->add_flag("--no-tcp", options->no_tcp, "HTTP/3 alone: do not listen on TCP");
  verb->add_option("--http", options->http,
                   "Speak HTTP/2 and HTTP/1.1 without TLS at this address; again for more")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  verb->add_option("--cert", options->certificates,
                   "Certificate chain, PEM; again for more names (SNI). Without: a development one")
      ->type_name("FILE")
      ->allow_extra_args(false);
  verb->add_option("--key", options->keys, "Its private key, PEM")
      ->type_name("FILE")
      ->allow_extra_args(false);
  verb->add_option("--client-ca", options->client_ca,
                   "mTLS: clients must have a certificate of a CA in this PEM file")
      ->type_name("FILE");
  verb->add_option("-w,--workers", options->workers, "Threads; 0: one a core")
      ->check(whole_number(0, 256))
      ->option_text("N (1)");
  add_engine(*verb, options->engine);
  add_congestion(*verb, options->congestion);
  add_versions(*verb, options->versions, "QUIC versions, best first: 1,2 (default), 2,1, 1 or 2");
  verb->add_flag("--retry", options->retry, "Have every client prove its address (Retry)");
  verb->add_flag("--no-early-data", options->no_early_data, "Refuse 0-RTT");
  verb->add_flag("--chacha20", options->chacha20, "Only TLS_CHACHA20_POLY1305_SHA256");
  verb->add_option("--preferred-address", options->preferred,
                   "Address that clients move to after the handshake; one for IPv4, one for IPv6")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  verb->add_option("--max-connections", options->max_connections, "Refuse more (default: 100000)")
      ->check(whole_number(1))
      ->type_name("N");
  add_duration(*verb, "--idle-timeout", options->idle_timeout,
               "Close silent connections (default: 30s)");
  add_duration(*verb, "--drain-timeout", options->drain_timeout,
               "How long requests may take to finish after Ctrl-C (default: 10s)");
  add_duration(*verb, "--max-connection-age", options->max_connection_age,
               "Drain connections this old, give or take 10% (default: never)");
  add_duration(*verb, "--max-connection-age-grace", options->max_connection_age_grace,
               "How long their requests may still take (default: any time)");
  verb->add_flag("--autoindex", options->autoindex, "List folders that have no index.html");
  verb->add_flag("--dotfiles", options->dotfiles, "Serve names that begin with a dot");
  verb->add_option("--cache-control", options->cache_control, "Cache-Control of every file")
      ->type_name("VALUE");
  verb->add_option("--log", options->log, "Log format: text, json or off")
      ->check(CLI::IsMember({"text", "json", "off"}))
      ->option_text("FORMAT (text)");
  verb->add_option("--qlog", options->qlog, "Write a qlog file a connection (default: QLOGDIR)")
      ->type_name("DIR");
  verb->add_option("--state-dir", options->state_dir,
                   "Keep ticket, token and reset keys here, for restarts and other machines")
      ->type_name("DIR");
  add_duration(*verb, "--key-rotation", options->key_rotation,
               "Replace the ticket and token keys this often (default: 8h)");
  verb->add_option("--server-id", options->server_id,
                   "This machine behind a QUIC-LB load balancer: hexadecimal digits")
      ->type_name("ID");
  verb->add_option("--cid-key", options->cid_key,
                   "Encrypt connection IDs with the key in this file (32 hexadecimal digits)")
      ->type_name("FILE");
  verb->add_option("--cid-rotation", options->cid_rotation,
                   "QUIC-LB config rotation: tells keys apart while machines change theirs")
      ->check(whole_number(0, 6))
      ->option_text("N (0)");
  verb->add_option("--handover", options->handover,
                   "Unix socket: take over from the process that serves there, and let the next "
                   "one take over from this")
      ->type_name("PATH");
  add_duration(*verb, "--handover-drain", options->handover_drain,
               "How long a process that was replaced keeps its connections (default: 10m)");
  verb->footer(
      "Signals: INT, TERM drain and stop; HUP reads the certificates again; USR1 prints "
      "counters.\n\n"
      "Examples:\n"
      "  tern serve\n"
      "  tern serve public --listen :443 --cert cert.pem --key key.pem --workers 0\n"
      "  tern serve --listen 127.0.0.1:0 --log json\n"
      "  tern serve --listen :443 --handover /run/tern/handover   # again, to replace it\n"
      "  tern serve --config tern.toml");
  verb->callback([options, verb, &result] {
    if (!options->config.empty()) apply_config(*verb, options->config);
    result = Serve(*options).run();
  });
}

}  // namespace tern::cli
