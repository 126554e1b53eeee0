#include "tools/tern/interop_probe.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <sstream>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/scope.h"
#include "tools/interop/prober.h"
#include "tools/tern/environment.h"
#include "tools/tern/input_file.h"
#include "tools/tern/interop_report.h"
#include "tools/tern/option_values.h"
#include "tools/tern/output_file.h"
#include "tools/tern/signals.h"
#include "tools/tern/terminal.h"
#include "transport/engine/engine.h"

namespace tern::cli {
namespace {

using interop::Case;
using interop::Target;
using interop::TargetReport;

constexpr std::size_t kMaxList = 4 * 1024 * 1024;  // of --endpoints, in bytes

/// "HDRZ" or "handshake,stream-data,R".
std::vector<const Case*> chosen_cases(const std::string& text) {
  std::vector<const Case*> chosen;
  const auto add = [&](std::string_view name) {
    const Case* known = interop::find_case(name);
    if (known == nullptr) {
      fail_with(
          ExitCode::usage,
          fmt::format("--tests: there is no case '{}'; `tern interop --list` shows them", name));
    }
    chosen.push_back(known);
  };
  std::istringstream list(text);
  for (std::string word; std::getline(list, word, ',');) {
    if (interop::find_case(word) != nullptr) {
      add(word);
    } else if (word.size() > 1 && word.find('-') == std::string::npos &&
               interop::find_case(word.substr(0, 1)) != nullptr) {
      for (const char& letter : word) add(std::string_view(&letter, 1));
    } else {
      add(word);
    }
  }
  if (chosen.empty()) fail_with(ExitCode::usage, "--tests: no case is named");
  return chosen;
}

http::Url https_url(const std::string& text) {
  auto url = http::Url::parse(text);
  if (!url) fail_with(ExitCode::bad_url, url.error().detail);
  if (url->scheme() != "https") {
    fail_with(ExitCode::bad_url, fmt::format("'{}': QUIC needs https", text));
  }
  return std::move(*url);
}

Target target_of(const InteropProbeOptions& options, const std::string& text) {
  Target target(https_url(text));
  if (options.hq) target.alpn = "hq-interop";
  if (!options.retry_url.empty()) {
    target.retry = https_url(options.retry_url);
    if (target.retry->host() != target.url.host()) {
      fail_with(ExitCode::usage, "--retry-url names another host than the URL");
    }
  }
  target.throughput = options.throughput_path;
  if (!target.throughput.empty() &&
      (target.throughput[0] != '/' ||
       target.throughput.find(Target::kSizeMark) == std::string::npos)) {
    fail_with(ExitCode::usage, "--throughput-path: a path with {size} in it, as /bytes/{size}");
  }
  return target;
}

std::vector<Target> targets_of(const InteropProbeOptions& options) {
  const bool for_one = !options.retry_url.empty() || !options.throughput_path.empty();
  if (for_one && options.urls.size() != 1) {
    fail_with(ExitCode::usage, "--retry-url and --throughput-path go with one URL");
  }
  if (!options.urls.empty()) {
    if (!options.endpoints.empty()) {
      fail_with(ExitCode::usage, "--endpoints FILE and URLs exclude each other");
    }
    std::vector<Target> targets;
    for (const std::string& text : options.urls) targets.push_back(target_of(options, text));
    return targets;
  }
  if (options.hq) fail_with(ExitCode::usage, "--hq goes with URLs; a list says it itself (alpn)");
  std::string text(interop::public_endpoints());
  std::string name = "the built-in list";
  if (!options.endpoints.empty()) {
    name = options.endpoints;
    Result<std::string> read = read_input(name, kMaxList);
    if (!read) fail_with(ExitCode::cannot_read, "--endpoints: " + read.error().detail);
    text = *std::move(read);
  }
  auto targets = interop::parse_targets(text);
  if (!targets) {
    fail_with(ExitCode::usage, fmt::format("--endpoints {}: {}", name, targets.error().detail));
  }
  return std::move(*targets);
}

class Run {
 public:
  explicit Run(const InteropProbeOptions& options) : options_(options) {
    for (Target& target : targets_of(options)) reports_.emplace_back(std::move(target));
    if (options.tests) chosen_ = chosen_cases(*options.tests);
    if (options.timeout && *options.timeout <= Duration::zero()) {
      fail_with(ExitCode::usage, "--timeout: more than nothing");
    }
    check_output("--html", options.html);
  }

  ExitCode run() {
    interop::ProberOptions settings = prober_options();
    // Before any thread of the engine, so that Ctrl-C comes here.
    SignalThread signals({SIGINT, SIGTERM}, [this](int) { interrupt(); });
    auto network = engine::open();
    if (!network) fail_with(ExitCode::failed, network.error().detail);
    Runtime runtime(**network);
    {
      auto prober = interop::Prober::create(runtime, **network, std::move(settings));
      if (!prober) fail_with(ExitCode::usage, prober.error().detail);
      (*prober)->begins = [this](const TargetReport& report, const Case& what) {
        begins(report, what);
      };
      start_listening(runtime);
      runtime.block_on(probe_all(runtime, **prober));
      stop_listening();
    }
    progress_.clear();
    reports_.resize(finished_, reports_.front());
    return tell(runtime.unix_seconds());
  }

 private:
  interop::ProberOptions prober_options() {
    check_ca_file(options_.ca_file);
    interop::ProberOptions settings;
    settings.insecure(options_.insecure)
        .ca_file(options_.ca_file)
        .cases(chosen_)
        .user_agent("tern/" TERN_VERSION " (interop prober)")
        .key_log(key_log_from_environment())
        .qlog(qlog_from_environment(options_.qlog));
    if (options_.timeout) settings.limit(*options_.timeout);
    for (const std::string& text : options_.resolve) {
      const ResolveEntry entry = parse_resolve(text);
      settings.resolve(entry.host, entry.port, entry.addresses.front());
    }
    return settings;
  }

  Task<void> probe_all(Runtime& runtime, interop::Prober& prober) {
    Signal done(runtime);
    done_ = &done;
    Scope scope(runtime.ready());
    scope.spawn(probe_in_turn(prober));
    while (!all_done_ && !interrupted_) co_await done.wait();
    scope.cancel();
    done_ = nullptr;
    co_await prober.finish();
  }

  Task<void> probe_in_turn(interop::Prober& prober) {
    for (TargetReport& report : reports_) {
      ++finished_;  // from here on it has something to tell
      co_await prober.probe(report);
    }
    all_done_ = true;
    done_->notify();
  }

  void begins(const TargetReport& report, const Case& what) {
    const std::string count =
        reports_.size() > 1 ? fmt::format("{}/{}  ", finished_, reports_.size()) : std::string();
    progress_.show(fmt::format("{}{}  {} {}", count, report.target.name, what.letter, what.title));
  }

  ExitCode tell(UnixSeconds when) {
    const ExitCode code = exit_code();
    if (options_.json) {
      fmt::print("{}\n", interop_json(reports_, static_cast<int>(code)));
    } else {
      print_interop(reports_);
      if (interrupted_) cli::tell("{}\n", Paint(stderr).red("tern interop: interrupted"));
    }
    if (std::fflush(stdout) != 0) fail_with(ExitCode::cannot_write, "cannot write to stdout");
    if (options_.html) write_output("--html", *options_.html, interop_page(reports_, when));
    return code;
  }

  ExitCode exit_code() const {
    if (interrupted_) return ExitCode::interrupted;
    if (options_.urls.size() == 1 && reports_.front().unreachable) {
      return cli::exit_code(*reports_.front().unreachable);
    }
    const bool passed = std::all_of(reports_.begin(), reports_.end(), [](const auto& report) {
      return !report.unreachable && report.mandatory_passed();
    });
    return passed ? ExitCode::done : ExitCode::failed;
  }

  // ---- Ctrl-C, from its own thread

  void start_listening(Runtime& runtime) {
    const std::lock_guard lock(mutex_);
    runtime_ = &runtime;
  }
  void stop_listening() {
    const std::lock_guard lock(mutex_);
    runtime_ = nullptr;
  }
  void interrupt() {
    const std::lock_guard lock(mutex_);
    if (interrupts_++ > 0 || runtime_ == nullptr) _exit(static_cast<int>(ExitCode::interrupted));
    runtime_->submit([this] {
      interrupted_ = true;
      if (done_ != nullptr) done_->notify();
    });
  }

  const InteropProbeOptions& options_;
  std::vector<const Case*> chosen_;
  std::vector<TargetReport> reports_;
  std::size_t finished_ = 0;
  bool all_done_ = false;
  bool interrupted_ = false;
  Signal* done_ = nullptr;
  ProgressLine progress_;
  std::mutex mutex_;
  Runtime* runtime_ = nullptr;
  int interrupts_ = 0;
};

}  // namespace

ExitCode run_interop_probe(const InteropProbeOptions& options) {
  if (options.list) {
    print_interop_cases();
    return ExitCode::done;
  }
  Run run(options);
  return run.run();
}

}  // namespace tern::cli
