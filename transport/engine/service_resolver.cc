#include "transport/engine/service_resolver.h"

#include <algorithm>
#include <arpa/nameser.h>
#include <cerrno>
#include <chrono>
#include <deque>
#include <mutex>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tern::engine {
namespace {

constexpr int kHttps = 65;  // RFC 9460 §14.1; glibc has no name for it
constexpr std::size_t kMaxMessage = 65535;
constexpr std::size_t kMaxRecords = 32;
/// A name that has none is asked for again after that (RFC 2308 would have the SOA's; this is
/// within what it allows).
constexpr Duration kNegativeTtl = std::chrono::minutes(1);

Result<udp::ServiceAnswer> look_up_record(const std::string& name) {
  struct __res_state state{};
  if (res_ninit(&state) != 0) {
    return fail(Error(Code::not_found, "the resolver does not start: no /etc/resolv.conf?"));
  }
  std::vector<std::uint8_t> message(kMaxMessage);
  const int size = res_nquery(&state, name.c_str(), ns_c_in, kHttps, message.data(),
                              static_cast<int>(message.size()));
  const int problem = state.res_h_errno;
  res_nclose(&state);
  if (size < 0) {
    udp::ServiceAnswer none;
    none.ttl = kNegativeTtl;
    if (problem == HOST_NOT_FOUND || problem == NO_DATA) return none;
    return fail(Error(Code::not_found,
                      "cannot look up the HTTPS records of " + name + ": " + hstrerror(problem)));
  }
  return read_service_answer(
      ByteView(message.data(), std::min(message.size(), static_cast<std::size_t>(size))));
}

}  // namespace

Result<udp::ServiceAnswer> read_service_answer(ByteView message) {
  ns_msg parsed;
  if (ns_initparse(message.data(), static_cast<int>(message.size()), &parsed) != 0) {
    return fail(Error::invalid("no DNS response"));
  }
  udp::ServiceAnswer answer;
  answer.ttl = kNegativeTtl;
  std::uint32_t ttl = UINT32_MAX;
  for (int i = 0; i < ns_msg_count(parsed, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&parsed, ns_s_an, i, &record) != 0) {
      return fail(Error::invalid("a DNS response that is cut short"));
    }
    ttl = std::min(ttl, static_cast<std::uint32_t>(ns_rr_ttl(record)));  // CNAMEs' as well
    if (ns_rr_type(record) != kHttps || ns_rr_class(record) != ns_c_in) continue;
    auto service = udp::parse_service_record(ByteView(ns_rr_rdata(record), ns_rr_rdlen(record)));
    // RFC 9460 §2.2: one that is malformed spoils them all.
    if (!service || answer.records.size() >= kMaxRecords) {
      answer.records.clear();
      return answer;
    }
    answer.records.push_back(std::move(*service));
  }
  if (answer.records.empty()) return answer;
  answer.ttl = std::chrono::seconds(ttl);
  std::stable_sort(
      answer.records.begin(), answer.records.end(),
      [](const auto& left, const auto& right) { return left.priority < right.priority; });
  return answer;
}

struct ServiceResolver::Shared {
  explicit Shared(Runtime& to) : runtime(&to) {}

  struct Question {
    std::uint64_t id;
    std::string name;
  };

  std::mutex mutex;  // guards the rest
  Runtime* runtime;  // null: nobody waits any more
  std::deque<Question> questions;
  std::size_t threads = 0;

  // The runtime's thread alone.
  std::unordered_map<std::uint64_t, Answered> callbacks;
  std::uint64_t next_id = 0;

  /// From the runtime's thread.
  void answer(std::uint64_t id, Result<udp::ServiceAnswer> result) {
    auto callback = callbacks.extract(id);
    if (!callback.empty()) callback.mapped()(std::move(result));
  }
  /// From any. The runtime may go meanwhile, but not while it is told.
  static void post(const std::shared_ptr<Shared>& shared, std::uint64_t id,
                   Result<udp::ServiceAnswer> result) {
    const std::lock_guard lock(shared->mutex);
    if (shared->runtime == nullptr) return;
    const std::weak_ptr<Shared> weak = shared;
    shared->runtime->submit([weak, id, result = std::move(result)]() mutable {
      if (const auto self = weak.lock()) self->answer(id, std::move(result));
    });
  }
};

ServiceResolver::ServiceResolver(Runtime& runtime) : shared_(std::make_shared<Shared>(runtime)) {}

ServiceResolver::~ServiceResolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->runtime = nullptr;
  shared_->questions.clear();
  shared_->callbacks.clear();
}

void ServiceResolver::resolve_service(const std::string& name, Answered done) {
  const std::uint64_t id = shared_->next_id++;
  const bool full = shared_->callbacks.size() >= kMaxPending;
  shared_->callbacks.emplace(id, std::move(done));
  if (full) {
    Shared::post(shared_, id, fail(Error::limit("too many HTTPS records are being looked up")));
    return;
  }
  std::optional<Error> failure;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->questions.push_back({id, name});
    if (shared_->threads >= kMaxThreads) return;  // one of them takes it
    sigset_t all;                                 // signals are for the application's threads
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread(&ServiceResolver::work, shared_).detach();
      ++shared_->threads;
    } catch (const std::system_error& problem) {
      if (shared_->threads == 0) {
        shared_->questions.pop_back();
        failure = Error::os(problem.code().value(), "thread for name lookup");
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  if (failure) Shared::post(shared_, id, fail(std::move(*failure)));
}

void ServiceResolver::work(const std::shared_ptr<Shared>& shared) {
  for (;;) {
    Shared::Question question;
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->questions.empty()) {
        --shared->threads;
        return;
      }
      question = std::move(shared->questions.front());
      shared->questions.pop_front();
    }
    Shared::post(shared, question.id, look_up_record(question.name));
  }
}

}  // namespace tern::engine
