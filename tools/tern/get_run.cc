#include "tools/tern/get_run.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "gateway/client.h"
#include "http/cookie_jar.h"
#include "http/uri.h"
#include "tools/tern/client_run.h"
#include "tools/tern/environment.h"
#include "tools/tern/get_output.h"
#include "tools/tern/get_transfer.h"
#include "tools/tern/option_values.h"
#include "tools/tern/terminal.h"
#include "tools/tern/trust_hint.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

/// "--migrate-at 2s" or "--migrate-at 5MB".
struct MigrationPoint {
  std::optional<Duration> time;
  std::optional<std::uint64_t> bytes;
};

MigrationPoint parse_migration_point(const std::string& text) {
  MigrationPoint point;
  try {
    if (!text.empty() && std::string_view("smh").find(text.back()) != std::string_view::npos) {
      point.time = parse_duration(text);
    } else {
      point.bytes = parse_bytes(text);
    }
  } catch (const std::invalid_argument&) {
    fail_with(ExitCode::usage,
              fmt::format("--migrate-at '{}': write a time, as 2s, or a size, as 5MB", text));
  }
  return point;
}

class Get {
 public:
  explicit Get(const GetOptions& options) : options_(options) {}

  ExitCode run() {
    plan_ = RequestPlan::from(options_);
    for (const std::string& text : options_.migrate_at) {
      migrations_.push_back(parse_migration_point(text));
    }
    check_combinations();
    sessions_ = std::make_shared<SessionCache>();
    if (!options_.session.empty()) {
      const Result<void> loaded = sessions_->load(options_.session);
      if (!loaded) fail_with(ExitCode::usage, loaded.error().detail);
    }
    load_cookies();
    ClientOptions client = make_client_options();
    Interrupts interrupts([this] { interrupted(); });
    run_client(options_, std::move(client), interrupts, [this](Runtime& runtime, Client& open) {
      client_ = &open;
      return transfer_all(runtime);
    });
    return report();
  }

 private:
  void check_combinations() const {
    if (options_.early_data && options_.session.empty()) {
      fail_with(ExitCode::usage, "--early-data wants --session FILE: 0-RTT needs an earlier visit");
    }
    if (options_.certificate.empty() && !options_.key.empty()) {
      fail_with(ExitCode::usage, "--key FILE wants --cert FILE, whose key it is");
    }
    if (options_.json && options_.cookie_jar == "-") {
      fail_with(ExitCode::usage, "--cookie-jar - and --json both write to stdout");
    }
    if (options_.remote_name && !options_.outputs.empty()) {
      fail_with(ExitCode::usage, "--output and --remote-name exclude each other");
    }
    if (options_.outputs.size() > options_.urls.size()) {
      fail_with(ExitCode::usage,
                fmt::format("{} files by --output, and {} URL{}", options_.outputs.size(),
                            options_.urls.size(), options_.urls.size() == 1 ? "" : "s"));
    }
    if (options_.versions.size() > 1) {
      fail_with(ExitCode::usage, "--quic-version takes one version, 1 or 2");
    }
    if (!plan_.upload.empty() && plan_.upload != "-" && options_.urls.size() > 1) {
      fail_with(ExitCode::usage, "--upload-file goes to one URL");
    }
  }

  ClientOptions make_client_options() {
    check_ca_file(options_.ca_file, "--cacert", ExitCode::bad_ca);
    ClientOptions client = client_options(options_);
    client.chacha20_only(options_.chacha20).early_data(options_.early_data).sessions(sessions_);
    // What is about QUIC alone makes no sense over TCP.
    const bool about_quic = options_.chacha20 || !options_.versions.empty();
    const bool any = options_.protocols == ClientProtocols::automatic;
    client.protocols(any && about_quic ? ClientProtocols::http3_only : options_.protocols);
    client.transport().congestion = options_.congestion;
    if (!options_.certificate.empty()) {
      auto certificate = load_certificate(options_.certificate, options_.key);
      if (!certificate) fail_with(ExitCode::bad_certificate, certificate.error().detail);
      client.certificate(std::move(*certificate));
    }
    if (!options_.versions.empty()) client.only_version(options_.versions.front());
    if (!options_.local_address.empty()) {
      const auto local = udp::Address::parse_ip(options_.local_address, 0);
      if (!local) {
        fail_with(ExitCode::usage,
                  fmt::format("--local-address '{}' is no IP address", options_.local_address));
      }
      client.local_address(*local);
    }
    RetryPolicy retry;
    retry.on_close(options_.retry_on_close);
    // Who says how often has thought about it: no budget beside it.
    if (options_.retries > 0) {
      const auto most = static_cast<double>(options_.retries * options_.urls.size());
      retry.tries(options_.retries + 1).on_transient(true).budget(most, 1);
    }
    client.retry(retry).cookies(jar_);
    client.network_policy(network_policy());
    client.watch([this](const ClientEvent& event) { watch(event); });
    return client;
  }

  /// curl's: -b with a file's name, or -c, make a jar; "a=b" is sent as it is (RequestPlan).
  void load_cookies() {
    if (!options_.cookie_jar.empty()) jar_ = std::make_shared<http::CookieJar>();
    for (const std::string& argument : options_.cookies) {
      if (argument.find('=') != std::string::npos) continue;
      if (jar_ == nullptr) jar_ = std::make_shared<http::CookieJar>();
      if (argument.empty()) continue;
      const Result<void> loaded = jar_->load(argument, unix_now());
      if (!loaded) fail_with(ExitCode::cannot_read, "--cookie: " + loaded.error().detail);
    }
  }

  void save_cookies() {
    if (options_.cookie_jar == "-") {
      fmt::print("{}", jar_->to_text(unix_now()));
    } else if (!options_.cookie_jar.empty()) {
      const Result<void> saved = jar_->save(options_.cookie_jar, unix_now());
      if (!saved) fail_with(ExitCode::cannot_write, "--cookie-jar: " + saved.error().detail);
    }
  }

  std::shared_ptr<const NetworkPolicy> network_policy() const {
    if (options_.network_policy == "cheapest") return NetworkPolicy::cheapest();
    if (options_.network_policy == "never") return NetworkPolicy::never();
    return NetworkPolicy::standard();
  }

  void watch(const ClientEvent& event) {
    if (event.type == ClientEvent::Type::session_received) ++tickets_;
    if (event.type == ClientEvent::Type::connected) ++connections_;
    if (options_.verbose) print_event(event);
  }

  // ---- transfers

  void make_transfers(Runtime& runtime) {
    for (std::size_t i = 0; i < options_.urls.size(); ++i) {
      auto transfer =
          std::make_unique<Transfer>(*client_, runtime, options_, plan_, options_.urls[i]);
      if (i < options_.outputs.size()) {
        transfer->output().to_file(options_.outputs[i]);
      } else if (options_.remote_name) {
        transfer->output().to_file(remote_name(transfer->result().url));
      } else if (options_.json) {
        transfer->output().to_memory();
      }
      transfer->on_bytes = [this](std::size_t count) { bytes_came(count); };
      transfers_.push_back(std::move(transfer));
    }
  }

  static std::string remote_name(const std::string& text) {
    const auto url = http::Url::parse(text);
    if (!url) fail_with(ExitCode::bad_url, url.error().detail);
    const std::string name = url->path().substr(url->path().rfind('/') + 1);
    if (name.empty()) {
      fail_with(ExitCode::cannot_write,
                fmt::format("--remote-name: '{}' names no file; use -o FILE", text));
    }
    return name;
  }

  Task<void> transfer_all(Runtime& runtime) {
    make_transfers(runtime);
    Signal done(runtime);
    done_ = &done;
    Timer progress(runtime.timers(), [&](Timestamp now) { show_progress(now, progress); });
    begun_ = runtime.now();
    const bool to_terminal = !transfers_.empty() && transfers_.front()->output().to_terminal();
    if (progress_.on() && !options_.silent && !to_terminal && !options_.verbose && !options_.json) {
      progress.arm(begun_ + 1s);
    }
    Scope scope(runtime.ready());
    for (const MigrationPoint& point : migrations_) {
      if (point.time) scope.spawn(migrate_after(runtime, *point.time));
    }
    if (options_.parallel) {
      for (const auto& transfer : transfers_) scope.spawn(run_one(*transfer));
    } else {
      scope.spawn(run_in_turn());
    }
    while (finished_ < transfers_.size() && !interrupted_) co_await done.wait();
    scope.cancel();
    progress.disarm();
    progress_.clear();
    for (const auto& transfer : transfers_) {
      if (!transfer->done()) {
        transfer->set_failure(ExitCode::interrupted, transfer->result().url + ": interrupted");
      }
    }
    if (options_.key_update && !keys_updated_) {
      warn("--key-update: " + (no_key_update_.empty() ? "there was no body" : no_key_update_));
    }
    if (!options_.session.empty() && !interrupted_) co_await wait_for_ticket(runtime);
    infos_ = client_->connections();
    co_await client_->close();
    done_ = nullptr;
  }

  Task<void> run_one(Transfer& transfer) {
    co_await transfer.run();
    ++finished_;
    done_->notify();
  }

  Task<void> run_in_turn() {
    for (const auto& transfer : transfers_) co_await run_one(*transfer);
  }

  /// The server's ticket may come after its response.
  Task<void> wait_for_ticket(Runtime& runtime) {
    constexpr Duration kPatience = 500ms;
    const Timestamp deadline = runtime.now() + kPatience;
    while (tickets_ < connections_ && runtime.now() < deadline) co_await runtime.sleep(2ms);
  }

  void bytes_came(std::size_t count) {
    const std::uint64_t before = bytes_;
    bytes_ += count;
    for (const MigrationPoint& point : migrations_) {
      if (point.bytes && before < *point.bytes && bytes_ >= *point.bytes) migrate();
    }
    // Early data may be answered before the handshake is confirmed: then it is done at the next
    // bytes.
    if (options_.key_update && !keys_updated_) {
      const Result<void> updated = client_->update_keys();
      keys_updated_ = updated.has_value();
      if (!updated) no_key_update_ = updated.error().detail;
    }
  }

  Task<void> migrate_after(Runtime& runtime, Duration time) {
    co_await runtime.sleep(time);
    migrate();
  }

  void migrate() {
    const Result<void> moved = client_->migrate();
    if (!moved) warn("--migrate-at: " + moved.error().detail);
  }

  void warn(const std::string& text) {
    progress_.clear();
    tell("tern get: {}\n", printable(text));
  }

  void show_progress(Timestamp now, Timer& timer) {
    std::uint64_t received = 0;
    std::uint64_t expected = 0;
    bool known = true;
    for (const auto& transfer : transfers_) {
      received += transfer->received();
      expected += transfer->expected().value_or(0);
      known = known && transfer->expected().has_value();
    }
    const double elapsed = std::chrono::duration<double>(now - begun_).count();
    std::string text = human_bytes(received);
    if (known && expected != 0) {
      text += fmt::format(" of {}  {:.0f} %", human_bytes(expected),
                          100.0 * static_cast<double>(received) / static_cast<double>(expected));
    }
    text += fmt::format(
        "  {}/s", human_bytes(static_cast<std::uint64_t>(static_cast<double>(received) / elapsed)));
    if (transfers_.size() > 1) text += fmt::format("  {}/{} done", finished_, transfers_.size());
    progress_.show(text);
    timer.arm(now + 200ms);
  }

  /// Ctrl-C, on the runtime's thread.
  void interrupted() {
    interrupted_ = true;
    if (done_ != nullptr) done_->notify();
  }

  // ---- the end

  const ClientConnectionInfo* info_of(std::uint64_t id) const {
    for (const ClientConnectionInfo& info : infos_) {
      if (info.id == id) return &info;
    }
    return nullptr;
  }

  ExitCode report() {
    ExitCode code = ExitCode::done;
    for (const auto& transfer : transfers_) {
      const TransferResult& result = transfer->result();
      if (options_.stats && !options_.json) print_stats(result, info_of(result.connection));
      if (result.code == ExitCode::done) continue;
      if (code == ExitCode::done) code = result.code;
      if (!options_.json && (!options_.silent || options_.show_error)) {
        tell("{} {}{}\n", Paint(stderr).red("tern get:"), printable(result.message), hint(result));
      }
    }
    if (options_.json) print_json(code);
    save_cookies();
    if (!options_.session.empty()) {
      const Result<void> saved = sessions_->save(options_.session);
      if (!saved) fail_with(ExitCode::cannot_write, saved.error().to_string());
    }
    return code;
  }

  std::string hint(const TransferResult& result) const {
    switch (result.code) {
      case ExitCode::not_trusted: return std::string(trust_hint(result.message));
      case ExitCode::timed_out:
        return result.head ? "" : "; is an HTTP server there, and do UDP or TCP pass?";
      default: return "";
    }
  }

  void print_json(ExitCode code) const {
    JsonWriter json;
    json.begin_object().member("exit_code", static_cast<int>(code));
    json.key("transfers").begin_array();
    for (const auto& transfer : transfers_) write_transfer(json, transfer->result());
    json.end().key("connections").begin_array();
    for (const ClientConnectionInfo& info : infos_) write_connection(json, info);
    json.end().end();
    fmt::print("{}\n", json.text());
  }

  const GetOptions& options_;
  RequestPlan plan_;
  std::vector<MigrationPoint> migrations_;
  std::shared_ptr<SessionCache> sessions_;
  std::shared_ptr<http::CookieJar> jar_;
  Client* client_ = nullptr;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  std::vector<ClientConnectionInfo> infos_;
  ProgressLine progress_;
  Timestamp begun_{};
  Signal* done_ = nullptr;
  std::size_t finished_ = 0;
  std::uint64_t bytes_ = 0;
  bool keys_updated_ = false;
  std::string no_key_update_;  // why, the last time
  std::size_t tickets_ = 0;
  std::size_t connections_ = 0;
  bool interrupted_ = false;
};

}  // namespace

ExitCode run_get(const GetOptions& options) { return Get(options).run(); }

}  // namespace tern::cli
