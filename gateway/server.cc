#include "gateway/server.h"

#include <algorithm>
#include <cstddef>
#include <sched.h>
#include <string>
#include <utility>

#include "base/check.h"
#include "gateway/server_handover.h"
#include "gateway/server_shared.h"
#include "gateway/server_worker.h"
#include "transport/engine/workers.h"

namespace tern {

namespace {

/// CPUs this process may run on.
std::size_t usable_cpus() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace

Server::Server(ServerOptions options)
    : shared_(std::make_shared<ServerShared>(std::move(options))) {
  const std::string& path = shared_->options.handover_;
  if (!path.empty()) handover_ = std::make_unique<ServerHandover>(*shared_, path);
}

Server::~Server() {
  stop();
  wait();
}

Result<void> Server::start(http::Handler handler) {
  TERN_CHECK(threads_ == nullptr && own_workers_.empty());
  const ServerOptions& options = shared_->options;
  const std::size_t count = options.workers_ == 0 ? usable_cpus() : options.workers_;
  shared_->worker_count = count;
  shared_->handler = std::move(handler);
  if (handover_ != nullptr) {
    const Result<void> asked = handover_->ask();
    if (!asked) return asked;
  }
  const auto set_up = [this](engine::Worker& worker) -> engine::Workers::SetUpResult {
    if (worker.index() == 0) {
      const Result<void> prepared = shared_->prepare(worker.runtime());
      if (!prepared) return fail(prepared.error());
    }
    return ServerWorker::create(shared_, worker.runtime(), worker.network(), worker.index());
  };
  auto started = engine::Workers::start(
      engine::WorkersOptions().count(static_cast<std::uint32_t>(count)).engine(options.engine_),
      set_up);
  if (!started) return fail(std::move(started).error());
  threads_ = std::move(*started);
  if (handover_ == nullptr) return {};
  Result<void> begun = handover_->begin();
  if (!begun) {
    threads_->stop();
    threads_->join();
    threads_.reset();
  }
  return begun;
}

void Server::wait() {
  if (threads_ == nullptr) return;
  shared_->wait_until_ended();
  // All together: a socket that leaves a reuse-port group changes the others' places in it.
  threads_->stop();
  threads_->join();
  threads_.reset();
  shared_->begin_anew();
}

Result<void> Server::run(http::Handler handler) {
  Result<void> started = start(std::move(handler));
  if (started) wait();
  return started;
}

Result<void> Server::start(Runtime& runtime, udp::Network& network, http::Handler handler,
                           std::size_t worker) {
  TERN_CHECK(threads_ == nullptr);
  if (handover_ != nullptr) {
    return fail(Error::invalid("only a server with threads of its own hands over to another"));
  }
  if (own_workers_.empty()) {
    shared_->worker_count = std::max<std::size_t>(1, shared_->options.workers_);
    shared_->handler = std::move(handler);
    const Result<void> prepared = shared_->prepare(runtime);
    if (!prepared) return prepared;
  }
  if (worker >= shared_->worker_count) {
    return fail(Error::invalid("worker " + std::to_string(worker) + " of " +
                               std::to_string(shared_->worker_count) +
                               ": say how many there will be with ServerOptions::workers"));
  }
  auto created = ServerWorker::create(shared_, runtime, network, worker);
  if (!created) return fail(std::move(created).error());
  own_workers_.push_back(std::move(*created));
  return {};
}

void Server::drain() {
  if (handover_ != nullptr) handover_->stopping();
  shared_->end(ServerShared::Ending::drain);
}

void Server::stop() {
  if (handover_ != nullptr) handover_->stopping();
  shared_->end(ServerShared::Ending::close);
}

bool Server::stopped() const noexcept { return shared_->ended(); }

Result<void> Server::reload_certificates() {
  TERN_TRY(const auto contexts, shared_->make_contexts());
  shared_->use(contexts);
  return {};
}

std::vector<std::pair<std::string, std::uint64_t>> Server::counters() const {
  return shared_->counters();
}

std::vector<udp::Address> Server::addresses() const { return shared_->bound(); }

std::vector<udp::Address> Server::cleartext_addresses() const { return shared_->bound_cleartext(); }

bool Server::tcp() const noexcept { return shared_->options.tcp_; }

std::vector<tls::Certificate> Server::certificates() const {
  const auto context = shared_->contexts().quic;
  return context == nullptr ? std::vector<tls::Certificate>() : context->certificates();
}

std::string Server::engine() const { return shared_->engine(); }

std::size_t Server::workers() const noexcept { return shared_->worker_count; }

}  // namespace tern
