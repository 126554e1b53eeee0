#include "gateway/server_handover.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "gateway/server_worker.h"
#include "transport/quic/token.h"

namespace tern {

using handover::Kind;

namespace {

constexpr std::size_t kResetSecret = 32;
constexpr Duration kNoHurry = std::chrono::hours(1);

std::vector<std::uint8_t> hello() {
  const std::array<std::uint8_t, 1> version{handover::kVersion};
  return handover::message(Kind::hello, version);
}

/// "version 2", of what follows a hello's first byte.
std::string version_of(ByteView body) {
  return body.size() == 1 ? fmt::format("version {}", body.front()) : "another version";
}

/// Threads that wait for others to be done with something.
class Countdown {
 public:
  explicit Countdown(std::size_t count) : left_(count) {}
  void done() {
    const std::lock_guard lock(mutex_);
    --left_;
    changed_.notify_all();
  }
  bool wait(Duration limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t left_;
};

}  // namespace

ServerHandover::ServerHandover(ServerShared& shared, std::string path)
    : shared_(shared), path_(std::move(path)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ServerHandover::~ServerHandover() {
  if (thread_.joinable()) {
    ending_.store(true);
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) != sizeof one) shared_.log(LogLevel::warning, "eventfd");
    thread_.join();
  }
  if (successor_ != nullptr) successor_->try_send(handover::message(Kind::finished), {});
  if (wake_ >= 0) ::close(wake_);
}

// ---- the new process ----------------------------------------------------------------------------

Result<void> ServerHandover::ask() {
  if (wake_ < 0) return fail(Error::os(errno, "eventfd"));
  auto channel = engine::UnixChannel::connect(path_);
  if (!channel) {
    const Error& error = channel.error();
    const bool nobody =
        error.domain == Domain::os && (error.code == ENOENT || error.code == ECONNREFUSED);
    if (nobody) return {};
    return fail(error);
  }
  auto asked = (*channel)->send(hello(), {}, kAnswerLimit);
  if (!asked) return asked;
  for (;;) {
    auto answer = (*channel)->receive(kAnswerLimit);
    if (!answer) {
      return fail(
          Error(Code::closed, path_ +
                                  ": the process that serves does not hand over; is it of an older "
                                  "build? Stop it first, and start this one then (" +
                                  answer.error().detail + ")"));
    }
    const auto kind = handover::kind_of(answer->bytes);
    const ByteView body = answer->bytes.empty() ? ByteView() : answer->bytes.subspan(1);
    if (kind == Kind::sockets || kind == Kind::listeners || kind == Kind::cleartext) {
      const auto addresses = handover::read_addresses(answer->bytes);
      if (addresses.size() != 1) continue;
      engine::Descriptors& offered =
          kind == Kind::sockets
              ? shared_.offered(addresses.front())
              : shared_.listeners(kind == Kind::cleartext).offered(addresses.front());
      offered.append(std::move(answer->descriptors));
    } else if (kind == Kind::keys && body.size() > kResetSecret) {
      TERN_TRY(shared_.inherited_keys, tls::KeyRing::parse(as_text(body.subspan(kResetSecret))));
      std::copy_n(body.begin(), kResetSecret, shared_.reset_secret.begin());
    } else if (kind == Kind::offered) {
      break;
    } else {
      return fail(
          Error(Code::unsupported,
                fmt::format("{}: the process that serves hands over by {} of the protocol, "
                            "this one by version {}; stop it first, and start this one then",
                            path_, kind == Kind::hello ? version_of(body) : "another version",
                            handover::kVersion)));
    }
  }
  predecessor_ = std::move(*channel);
  return {};
}

Result<void> ServerHandover::begin() {
  if (predecessor_ != nullptr && !take_over()) {
    return fail(Error(Code::closed, path_ + ": the process that serves did not let go"));
  }
  TERN_TRY(listener_, engine::UnixListener::open(path_));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

bool ServerHandover::take_over() {
  std::vector<udp::Address> listening = shared_.listeners(false).taken();
  const std::vector<udp::Address>& clear = shared_.listeners(true).taken();
  listening.insert(listening.end(), clear.begin(), clear.end());
  for (const auto& message : {handover::addresses_message(Kind::listening, listening),
                              handover::addresses_message(Kind::ready, shared_.taken())}) {
    if (!predecessor_->send(message, {}, kAnswerLimit)) return false;
  }
  std::vector<quic::ConnectionId> handshakes;
  for (;;) {
    const auto answer = predecessor_->receive(kAnswerLimit);
    if (!answer) return false;
    const auto kind = handover::kind_of(answer->bytes);
    if (kind == Kind::yours) break;
    if (kind != Kind::handshakes) return false;
    handover::read_handshakes(answer->bytes, handshakes);
  }
  const auto forwarder = std::make_shared<const Forwarder>(predecessor_, handshakes);
  // The forwarder first, and everywhere: the first datagram may be the other process's, and its
  // connection ID may name another worker here, who is handed it.
  const auto nothing = [](ServerWorker&) {};
  const auto forward = [forwarder](ServerWorker& worker) { worker.forward_to(forwarder); };
  if (!on_all(forward, nothing)) return false;
  shared_.on_every_worker([](ServerWorker& worker) { worker.resume(); });
  took_over_.store(true);
  shared_.forget_offers();
  for (const bool cleartext : {false, true}) shared_.listeners(cleartext).forget_offers();
  shared_.log(LogLevel::info, "took over from the process that served before");
  return true;
}

void ServerHandover::stopping() noexcept {
  if (took_over_.load()) predecessor_->try_send(handover::message(Kind::stopping), {});
}

// ---- its thread ---------------------------------------------------------------------------------

void ServerHandover::run() {
  predecessor_lives_ = predecessor_ != nullptr;
  while (!ending_.load()) {
    const auto readable =
        engine::wait_readable({wake_, listener_ != nullptr ? listener_->descriptor() : -1,
                               successor_ != nullptr ? successor_->descriptor() : -1,
                               predecessor_lives_ ? predecessor_->descriptor() : -1},
                              left_ ? kLookInterval : kNoHurry);
    if (readable[2]) read_successor();
    if (readable[3]) read_predecessor();
    if (readable[1] && listener_ != nullptr) offer();
    if (left_) end_if_empty();
  }
}

/// It has only one thing to say, and its silence says the same.
void ServerHandover::read_predecessor() {
  const auto message = predecessor_->receive(Duration());
  predecessor_lives_ = false;
  shared_.on_every_worker([](ServerWorker& worker) { worker.forward_to(nullptr); });
  const bool finished = message && handover::kind_of(message->bytes) == Kind::finished;
  shared_.log(finished ? LogLevel::info : LogLevel::warning,
              finished ? "the process before has no connections left"
                       : "the process before is gone; what is left of its connections is reset");
}

// ---- the old process ----------------------------------------------------------------------------

void ServerHandover::offer() {
  auto channel = listener_->accept();
  if (channel == nullptr) return;
  // Channels are waited for together with the end of this process.
  engine::wait_readable({channel->descriptor(), wake_}, kAnswerLimit);
  const auto greeting = channel->receive(Duration());
  Result<void> given;
  if (greeting && std::ranges::equal(greeting->bytes, hello())) {
    given = make_offer(*channel);
    if (given) given = give(std::move(channel));
  } else if (greeting && handover::kind_of(greeting->bytes) == Kind::hello) {
    channel->try_send(hello(), {});  // so that it can say why it does not start
    given = fail(
        Error(Code::unsupported,
              fmt::format("the new process asked for {} of the protocol, this one has "
                          "version {}",
                          version_of(ByteView(greeting->bytes).subspan(1)), handover::kVersion)));
  } else {
    given = fail(Error(Code::unsupported, "who asked is no server of this kind"));
  }
  if (!given) shared_.log(LogLevel::warning, "not handed over: " + given.error().detail);
}

Result<void> ServerHandover::make_offer(engine::UnixChannel& channel) {
  const auto send = [&channel](Kind kind, const udp::Address& address,
                               const std::vector<int>& descriptors) -> Result<void> {
    for (std::size_t at = 0; at < descriptors.size(); at += engine::UnixChannel::kMaxDescriptors) {
      const std::size_t end =
          std::min(descriptors.size(), at + engine::UnixChannel::kMaxDescriptors);
      const auto begin = descriptors.begin();
      const std::vector<int> part(begin + static_cast<std::ptrdiff_t>(at),
                                  begin + static_cast<std::ptrdiff_t>(end));
      const auto message = handover::addresses_message(kind, {address});
      if (auto sent = channel.send(message, part, kAnswerLimit); !sent) return sent;
    }
    return {};
  };
  for (const auto& [address, descriptors] : shared_.sockets()) {
    if (auto sent = send(Kind::sockets, address, descriptors); !sent) return sent;
  }
  for (const bool cleartext : {false, true}) {
    for (const HandedListeners::Group& group : shared_.listeners(cleartext).all()) {
      std::vector<int> descriptors;
      for (const auto& one : group.sockets) {
        if (one != nullptr)
          descriptors.insert(descriptors.end(), one->all().begin(), one->all().end());
      }
      const Kind kind = cleartext ? Kind::cleartext : Kind::listeners;
      if (auto sent = send(kind, group.local, descriptors); !sent) return sent;
    }
  }
  std::vector<std::uint8_t> keys(shared_.reset_secret.begin(), shared_.reset_secret.end());
  const std::string ring = shared_.keys->serialize();
  keys.insert(keys.end(), ring.begin(), ring.end());
  if (auto sent = channel.send(handover::message(Kind::keys, keys), {}, kAnswerLimit); !sent) {
    return sent;
  }
  return channel.send(handover::message(Kind::offered), {}, kAnswerLimit);
}

Result<void> ServerHandover::give(std::unique_ptr<engine::UnixChannel> channel) {
  engine::wait_readable({channel->descriptor(), wake_}, kStartLimit);
  const Error no_start(Code::closed, "the new process did not start");
  auto said = channel->receive(Duration());
  if (!said || handover::kind_of(said->bytes) != Kind::listening) return fail(no_start);
  const std::vector<udp::Address> listening = handover::read_addresses(said->bytes);
  said = channel->receive(kAnswerLimit);
  if (!said || handover::kind_of(said->bytes) != Kind::ready) return fail(no_start);
  const std::vector<udp::Address> ready = handover::read_addresses(said->bytes);
  struct Open {
    std::mutex mutex;
    std::vector<std::pair<quic::ConnectionId, std::size_t>> handshakes;  // and their worker
  };
  const auto open = std::make_shared<Open>();
  for (const bool cleartext : {false, true}) shared_.listeners(cleartext).keep(listening);
  const bool paused =
      on_all([ready, listening](ServerWorker& worker) { worker.pause(ready, listening); },
             [open](ServerWorker& worker) {
               const std::vector<quic::ConnectionId> cids = worker.leave();
               const std::lock_guard lock(open->mutex);
               for (const auto& cid : cids) open->handshakes.emplace_back(cid, worker.index());
             });
  handshakes_.clear();
  std::vector<quic::ConnectionId> cids;
  {
    const std::lock_guard lock(open->mutex);
    for (const auto& [cid, worker] : open->handshakes) {
      handshakes_.emplace(cid, worker);
      cids.push_back(cid);
    }
  }
  listener_.reset();  // the name is the new process's
  successor_ = std::move(channel);
  successor_stops_ = passed_on_ = false;
  left_ = true;
  Result<void> told;
  for (const auto& message : handover::handshake_messages(cids)) {
    if (told) told = successor_->send(message, {}, kAnswerLimit);
  }
  if (told && paused) told = successor_->send(handover::message(Kind::yours), {}, kAnswerLimit);
  if (!told || !paused) {
    take_back();
    return fail(Error(Code::closed, "the new process is gone"));
  }
  if (predecessor_lives_) predecessor_->try_send(handover::message(Kind::passed_on), {});
  shared_.log(LogLevel::info,
              "handed over to a new process; connections that are open stay until they end");
  return {};
}

bool ServerHandover::on_all(std::function<void(ServerWorker&)> work,
                            std::function<void(ServerWorker&)> after) {
  const auto countdown = std::make_shared<Countdown>(shared_.worker_count);
  shared_.on_every_worker([work, after, countdown](ServerWorker& worker) {
    work(worker);
    worker.runtime().submit([after, countdown, weak = worker.weak_from_this()] {
      if (const auto still = weak.lock()) after(*still);
      countdown->done();
    });
  });
  return countdown->wait(kAnswerLimit);
}

void ServerHandover::read_successor() {
  for (int i = 0; i < kMaxDatagrams; ++i) {
    const auto message = successor_->receive(Duration());
    if (!message) {
      if (message.error().is(Code::timed_out)) return;
      return take_back();
    }
    const auto kind = handover::kind_of(message->bytes);
    if (kind == Kind::datagram) {
      if (const auto datagram = handover::read_datagram(message->bytes)) dispatch(*datagram);
    } else if (kind == Kind::passed_on) {
      passed_on_ = true;
      shared_.on_every_worker([](ServerWorker& worker) { worker.stop_listening(); });
    } else if (kind == Kind::stopping) {
      successor_stops_ = true;
      shared_.on_every_worker([](ServerWorker& worker) { worker.drain(); });
      stopping();
    }
  }
}

void ServerHandover::dispatch(const handover::Datagram& datagram) {
  udp::Arrival arrival;
  arrival.path = datagram.path;
  arrival.ecn = datagram.ecn;
  // hand_over copies.
  arrival.bytes = {const_cast<std::uint8_t*>(datagram.bytes.data()), datagram.bytes.size()};
  arrival.segment_size = datagram.bytes.size();
  shared_.note_forwarded(shared_.hand_over(worker_for(datagram.bytes), arrival));
}

std::size_t ServerHandover::worker_for(ByteView datagram) const {
  const quic::CidGenerator& cids = *shared_.cids;
  ByteView dcid;
  if ((datagram[0] & 0x80) != 0) {  // RFC 8999 §5.1
    if (datagram.size() > 6 && datagram.size() >= 6u + datagram[5]) {
      dcid = datagram.subspan(6, datagram[5]);
    }
    const auto found = handshakes_.find(quic::ConnectionId(dcid));
    if (found != handshakes_.end()) return found->second;
  } else if (datagram.size() > cids.cid_length()) {
    dcid = datagram.subspan(1, cids.cid_length());
  }
  const int worker = cids.worker_of(dcid);
  return worker < 0 || static_cast<std::size_t>(worker) >= shared_.worker_count
             ? 0
             : static_cast<std::size_t>(worker);
}

/// The new process is gone, and nobody reads the sockets.
void ServerHandover::take_back() {
  successor_.reset();
  left_ = false;
  if (passed_on_) {
    shared_.log(LogLevel::warning, "the process after is gone, and its successor serves");
    shared_.on_every_worker([](ServerWorker& worker) { worker.close(); });
    return;
  }
  const bool serve_on = !successor_stops_;
  shared_.on_every_worker([serve_on](ServerWorker& worker) {
    worker.resume();
    if (serve_on) worker.return_to_service();
  });
  if (!serve_on) return;
  shared_.log(LogLevel::warning, "the new process is gone: this one serves again");
  auto listener = engine::UnixListener::open(path_);
  if (listener) {
    listener_ = std::move(*listener);
  } else {
    shared_.log(LogLevel::error, "cannot be replaced: " + listener.error().detail);
  }
}

void ServerHandover::end_if_empty() {
  if (predecessor_lives_) return;  // its datagrams come through here
  for (const auto& [name, value] : shared_.counters()) {
    if ((name == "quic.connections_open" || name == "server.tcp.open") && value != 0) return;
  }
  left_ = false;
  successor_stops_ = true;  // whatever becomes of it, this process does not serve again
  shared_.on_every_worker([](ServerWorker& worker) { worker.close(); });
}

}  // namespace tern
