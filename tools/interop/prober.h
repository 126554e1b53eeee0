#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "tools/interop/case.h"
#include "tools/interop/probe.h"
#include "tools/interop/target.h"
#include "transport/quic/qlog.h"
#include "transport/tls/client_context.h"
#include "transport/tls/key_log.h"
#include "transport/udp/network.h"

namespace tern::interop {

/// How a Prober goes about it.
class ProberOptions {
 public:
  static constexpr Duration kDefaultLimit = std::chrono::seconds(10);

  /// How long a case may take (some take a multiple: Case::time_limits). Default 10 s.
  ProberOptions& limit(Duration value) { return limit_ = value, *this; }
  /// The cases to run, in the matrix's order. Default: all.
  ProberOptions& cases(std::vector<const Case*> chosen) {
    return cases_ = std::move(chosen), *this;
  }
  /// Trust any certificate; default false. Target::insecure does it for one endpoint.
  ProberOptions& insecure(bool on) { return insecure_ = on, *this; }
  /// Trust the CAs of this PEM file instead of the system's.
  ProberOptions& ca_file(std::string path) { return ca_file_ = std::move(path), *this; }
  /// The same as text.
  ProberOptions& ca_pem(std::string pem) { return ca_pem_ = std::move(pem), *this; }
  /// Connect to `address` for that host and port (curl --resolve). Call it again for more. The
  /// port of Target::retry is reached at the same address.
  ProberOptions& resolve(std::string host, std::uint16_t port, udp::Address address) {
    return overrides_.push_back({std::move(host), port, address}), *this;
  }
  /// What requests say who they are from.
  ProberOptions& user_agent(std::string text) { return user_agent_ = std::move(text), *this; }
  ProberOptions& key_log(std::shared_ptr<tls::KeyLog> log) {
    return key_log_ = std::move(log), *this;
  }
  ProberOptions& qlog(quic::QlogOpener opener) { return qlog_ = std::move(opener), *this; }

 private:
  friend class Prober;
  struct Override {
    std::string host;
    std::uint16_t port;
    udp::Address address;
  };
  Duration limit_ = kDefaultLimit;
  std::vector<const Case*> cases_;
  bool insecure_ = false;
  std::string ca_file_;
  std::string ca_pem_;
  std::vector<Override> overrides_;
  std::string user_agent_ = "tern interop";
  std::shared_ptr<tls::KeyLog> key_log_;
  quic::QlogOpener qlog_;
};

/// What became of one case.
struct CaseReport {
  const Case* what = nullptr;
  Verdict verdict;
  std::vector<Fact> facts;  ///< in the order they were noted
  Duration duration{};
  unsigned connections = 0;
};

/// What became of one endpoint.
struct TargetReport {
  explicit TargetReport(Target probed) : target(std::move(probed)) {}

  Target target;
  std::optional<udp::Address> remote;  ///< the address that was probed
  std::vector<CaseReport> cases;       ///< in the matrix's order
  /// Why no connection could be made; the cases that need one are `not_run` then.
  std::optional<Error> unreachable;
  Duration duration{};

  const CaseReport* find(char letter) const noexcept;
  std::size_t count(Outcome outcome) const noexcept;
  /// Every mandatory case that was run and is applicable has passed.
  bool mandatory_passed() const noexcept;
};

/// Tries what QUIC and HTTP/3 endpoints can do, case by case: a guest on public servers. One
/// connection at a time, at most two a case and three addresses an endpoint, every response cut at
/// a megabyte (the throughput case: 5 MB once), every case under a time limit. Evidence comes from
/// this side alone: what its connections, its qlog and its sockets have seen.
///
/// Belongs to the runtime's thread; runtime and network outlive it, and the network is the
/// runtime's driver.
class Prober {
 public:
  static constexpr std::size_t kMaxAddresses = 3;

  /// Error when the CA file or the system's roots cannot be read.
  static Result<std::unique_ptr<Prober>> create(Runtime& runtime, udp::Network& network,
                                                ProberOptions options);

  /// Probes `report.target` and fills `report`. What it holds when the task is given up is true;
  /// then `finish` closes what is still open.
  Task<void> probe(TargetReport& report);
  Task<void> finish();

  /// Called when a case begins, and when it has ended; either may be empty.
  std::function<void(const TargetReport&, const Case&)> begins;
  std::function<void(const TargetReport&, const CaseReport&)> ended;

 private:
  Prober(Runtime& runtime, udp::Network& network, ProberOptions options)
      : runtime_(runtime), network_(network), options_(std::move(options)) {}

  bool wanted(const Case& what) const noexcept;
  Task<Result<std::vector<udp::Address>>> look_up(const http::Url& url);
  Task<CaseReport> run_case(const Case& what, const TargetReport& report, udp::Address remote);
  Task<CaseReport> reach(TargetReport& report, std::vector<udp::Address> addresses);
  void keep(TargetReport& report, CaseReport done);

  Runtime& runtime_;
  udp::Network& network_;
  ProberOptions options_;
  std::unique_ptr<Probe> probe_;  // of the case under way
  struct Contexts {
    std::shared_ptr<const tls::ClientContext> usual;
    std::shared_ptr<const tls::ClientContext> chacha20;
  };
  Result<Contexts> make_contexts(bool insecure) const;
  Contexts verifying_;
  Contexts trusting_;
};

}  // namespace tern::interop
