#include "tools/interop/prober.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "gateway/host_addresses.h"
#include "gateway/within.h"

namespace tern::interop {
namespace {

Task<Result<Verdict>> as_result(Task<Verdict> running) {
  Verdict verdict = co_await running;
  co_return verdict;
}

/// Nobody there, as opposed to somebody who does it wrong: another address may do better.
bool is_silence(const CaseReport& done) noexcept {
  return done.verdict.outcome == Outcome::timed_out ||
         (done.verdict.error && done.verdict.error->domain == Domain::os);
}

}  // namespace

const CaseReport* TargetReport::find(char letter) const noexcept {
  for (const CaseReport& done : cases) {
    if (done.what->letter == letter) return &done;
  }
  return nullptr;
}

std::size_t TargetReport::count(Outcome outcome) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(cases.begin(), cases.end(),
                    [&](const CaseReport& done) { return done.verdict.outcome == outcome; }));
}

bool TargetReport::mandatory_passed() const noexcept {
  return std::all_of(cases.begin(), cases.end(), [](const CaseReport& done) {
    return !done.what->mandatory || done.verdict.outcome == Outcome::pass ||
           done.verdict.outcome == Outcome::not_applicable;
  });
}

Result<Prober::Contexts> Prober::make_contexts(bool insecure) const {
  tls::ClientContextOptions options;
  options.insecure(insecure).key_log(options_.key_log_);
  if (!options_.ca_file_.empty()) options.ca_file(options_.ca_file_);
  if (!options_.ca_pem_.empty()) options.ca_pem(options_.ca_pem_);
  Contexts made;
  TERN_TRY(made.usual, tls::ClientContext::create(options));
  options.chacha20_only(true);
  TERN_TRY(made.chacha20, tls::ClientContext::create(options));
  return made;
}

Result<std::unique_ptr<Prober>> Prober::create(Runtime& runtime, udp::Network& network,
                                               ProberOptions options) {
  std::unique_ptr<Prober> prober(new Prober(runtime, network, std::move(options)));
  TERN_TRY(prober->trusting_, prober->make_contexts(true));
  prober->verifying_ = prober->trusting_;
  if (!prober->options_.insecure_) {
    TERN_TRY(prober->verifying_, prober->make_contexts(false));
  }
  return prober;
}

bool Prober::wanted(const Case& what) const noexcept {
  const auto& chosen = options_.cases_;
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), &what) != chosen.end();
}

Task<Result<std::vector<udp::Address>>> Prober::look_up(const http::Url& url) {
  std::vector<udp::Address> addresses;
  for (const auto& entry : options_.overrides_) {
    if (entry.host == url.host() && entry.port == url.port()) addresses.push_back(entry.address);
  }
  if (addresses.empty()) {
    if (const auto literal = udp::Address::parse_ip(url.host(), url.port())) {
      addresses.push_back(*literal);
    }
  }
  if (!addresses.empty()) co_return addresses;
  std::string what = "cannot resolve " + url.host() + ": no answer in time";
  auto resolving = tern::resolve(runtime_, network_, url.host(), url.port());
  Result<std::vector<udp::Address>> found =
      co_await within(runtime_, options_.limit_, std::move(what), std::move(resolving));
  co_return found;
}

Task<CaseReport> Prober::run_case(const Case& what, const TargetReport& report,
                                  udp::Address remote) {
  CaseReport done;
  done.what = &what;
  const Target& target = report.target;
  if (what.needs_http3 && target.alpn != "h3") {
    done.verdict = Verdict::not_applicable("the endpoint speaks " + target.alpn);
    co_return done;
  }
  if (begins) begins(report, what);
  const Contexts& contexts = target.insecure ? trusting_ : verifying_;
  const Duration limit = options_.limit_ * what.time_limits;
  Probe::Setting setting{runtime_,
                         network_,
                         target,
                         remote,
                         contexts.usual,
                         contexts.chacha20,
                         options_.user_agent_,
                         options_.qlog_,
                         limit};
  probe_ = std::make_unique<Probe>(std::move(setting));
  const Timestamp begun = runtime_.now();
  Task<Verdict> running = what.run(*probe_);
  Task<Result<Verdict>> bounded = as_result(std::move(running));
  std::string late =
      fmt::format("not done within {:.3g} s", std::chrono::duration<double>(limit).count());
  Result<Verdict> verdict = co_await within(runtime_, limit, std::move(late), std::move(bounded));
  done.duration = runtime_.now() - begun;
  if (verdict) {
    done.verdict = std::move(*verdict);
  } else {
    done.verdict = Verdict::of(Outcome::timed_out, verdict.error().detail);
    done.verdict.error = verdict.error();
  }
  done.facts = probe_->facts();
  done.connections = probe_->connections();
  co_await finish();
  co_return done;
}

Task<void> Prober::finish() {
  if (probe_ != nullptr) co_await probe_->finish();
  probe_.reset();
}

/// The handshake case, at one address after the other until one answers.
Task<CaseReport> Prober::reach(TargetReport& report, std::vector<udp::Address> addresses) {
  const Case& handshake = *find_case("handshake");
  CaseReport best;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    CaseReport done = co_await run_case(handshake, report, addresses[i]);
    const bool silent = is_silence(done);
    if (i == 0 || !silent) {
      best = std::move(done);
      report.remote = addresses[i];
    }
    if (!silent) break;
  }
  co_return best;
}

void Prober::keep(TargetReport& report, CaseReport done) {
  if (!wanted(*done.what)) return;
  const auto place = std::find_if(report.cases.begin(), report.cases.end(),
                                  [&](const CaseReport& other) { return other.what > done.what; });
  const auto kept = report.cases.insert(place, std::move(done));
  if (ended) ended(report, *kept);
}

Task<void> Prober::probe(TargetReport& report) {
  const Timestamp begun = runtime_.now();
  Result<std::vector<udp::Address>> addresses = co_await look_up(report.target.url);
  const Case& handshake = *find_case("handshake");
  if (!addresses) {
    report.unreachable = addresses.error();
  } else {
    CaseReport reached = co_await reach(report, interleave(*addresses, kMaxAddresses));
    if (reached.verdict.outcome != Outcome::pass) {
      report.unreachable = reached.verdict.error ? *reached.verdict.error
                                                 : Error(Code::unsupported, reached.verdict.text);
    }
    keep(report, std::move(reached));
  }
  for (const Case& what : cases()) {
    if (!wanted(what) || (&what == &handshake && addresses)) continue;
    // Version negotiation needs no connection, and may work where a handshake does not.
    const bool possible = addresses && (!report.unreachable || what.letter == 'V');
    if (!possible) {
      CaseReport skipped;
      skipped.what = &what;
      skipped.verdict = Verdict::of(Outcome::not_run, "no connection");
      keep(report, std::move(skipped));
      continue;
    }
    CaseReport done = co_await run_case(what, report, *report.remote);
    keep(report, std::move(done));
  }
  report.duration = runtime_.now() - begun;
}

}  // namespace tern::interop
