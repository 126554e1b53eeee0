#include "transport/engine/resolver.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <mutex>
#include <netdb.h>
#include <signal.h>
#include <string_view>
#include <strings.h>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace tern::engine {

namespace {

bool is_localhost(std::string_view host) noexcept {
  constexpr std::string_view kName = "localhost";
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() < kName.size()) return false;
  const std::string_view end = host.substr(host.size() - kName.size());
  if (::strncasecmp(end.data(), kName.data(), kName.size()) != 0) return false;
  return host.size() == kName.size() || host[host.size() - kName.size() - 1] == '.';
}

ResolveResult look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    const std::string reason =
        error == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(error);
    return fail(Error(Code::not_found, fmt::format("cannot resolve {}: {}", host, reason)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::vector<udp::Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    udp::Address address = udp::Address::from(entry->ai_addr, entry->ai_addrlen);
    if (!address.specified()) continue;
    address.set_port(port);
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  if (addresses.empty()) {
    return fail(Error(Code::not_found, fmt::format("{} has no address", host)));
  }
  return addresses;
}

}  // namespace

bool resolve_without_lookup(const std::string& host, std::uint16_t port, ResolveResult& result) {
  if (auto literal = udp::Address::parse_ip(host, port)) {
    result = std::vector<udp::Address>{*literal};
    return true;
  }
  if (is_localhost(host)) {
    result = std::vector<udp::Address>{udp::Address::v6(in6addr_loopback, port),
                                       udp::Address::v4(INADDR_LOOPBACK, port)};
    return true;
  }
  return false;
}

struct Resolver::Shared {
  struct Question {
    std::uint64_t id;
    std::string host;
    std::uint16_t port;
  };
  struct Answer {
    std::uint64_t id;
    ResolveResult result;
  };

  std::shared_ptr<Waker> waker;
  std::mutex mutex;  // guards the rest
  std::deque<Question> questions;
  std::vector<Answer> answers;
  std::size_t threads = 0;
};

Resolver::Resolver(std::shared_ptr<Waker> waker) : shared_(std::make_shared<Shared>()) {
  shared_->waker = std::move(waker);
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->questions.clear();
}

Result<void> Resolver::start(const std::string& host, std::uint16_t port, ResolveCallback done) {
  if (callbacks_.size() >= kMaxPending) {
    return fail(Error::limit(fmt::format("{} names are being resolved already", kMaxPending)));
  }
  const std::uint64_t id = next_id_++;
  const std::lock_guard lock(shared_->mutex);
  shared_->questions.push_back({id, host, port});
  // A thread is either busy or about to end, so a new question gets a new one.
  if (shared_->threads < kMaxThreads) {
    sigset_t all;  // signals are for the application's threads
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    try {
      std::thread(&Resolver::work, shared_).detach();
      ++shared_->threads;
    } catch (const std::system_error& failure) {
      error = failure.code().value();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0 && shared_->threads == 0) {
      shared_->questions.pop_back();
      return fail(Error::os(error, "thread for name lookup"));
    }
  }
  callbacks_.emplace(id, std::move(done));
  return {};
}

void Resolver::work(const std::shared_ptr<Shared>& shared) {
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
    ResolveResult result = look_up(question.host, question.port);
    {
      const std::lock_guard lock(shared->mutex);
      shared->answers.push_back({question.id, std::move(result)});
    }
    shared->waker->wake();
  }
}

void Resolver::run_callbacks() {
  if (callbacks_.empty()) return;
  std::vector<Shared::Answer> answers;
  {
    const std::lock_guard lock(shared_->mutex);
    answers.swap(shared_->answers);
  }
  for (Shared::Answer& answer : answers) {
    auto callback = callbacks_.extract(answer.id);
    callback.mapped()(std::move(answer.result));
  }
}

}  // namespace tern::engine
