#include "webtransport/session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "webtransport/session_carrier.h"

namespace tern::webtransport {

namespace {

/// What TLS's exporter gives at most, with every hash.
constexpr std::size_t kMaxKeyingMaterial = 8160;

/// The longest beginning that fits and does not cut a UTF-8 character.
std::string_view cut(std::string_view reason) noexcept {
  if (reason.size() <= kMaxReason) return reason;
  std::size_t end = kMaxReason;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  return reason.substr(0, end);
}

}  // namespace

/// Waits for leave to open a stream. Keeps its place in the queue until it is resumed; if it never
/// is, whoever is next has its turn.
class Session::Turn {
 public:
  Turn(Session& session, Direction direction) noexcept : session_(session), direction_(direction) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (leave() && !session_.close_) session_.on_credit(direction_);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.suspend(handle);
    session_.opening_[index(direction_)].push_back(&waiter_);
  }
  void await_resume() noexcept { leave(); }

 private:
  /// False: it was resumed before.
  bool leave() noexcept { return std::erase(session_.opening_[index(direction_)], &waiter_) != 0; }
  Session& session_;
  Direction direction_;
  Waiter waiter_;
};

Session::Session(Runtime& runtime, std::unique_ptr<SessionCarrier> carrier)
    : runtime_(runtime), carrier_(std::move(carrier)) {
  carrier_->attach(*this);
}

Session::~Session() {
  TERN_CHECK(waiting_.empty() && datagram_reader_ == nullptr);
  if (!close_) carrier_->close(0, {});
  for (auto& accepted : accepted_) accepted.clear();
}

// ---- streams ------------------------------------------------------------------------------------

Session::Accept::~Accept() {
  Waiter*& slot = session_.accepting_[index(direction_)];
  if (slot == &waiter_) slot = nullptr;
}

bool Session::Accept::await_ready() const noexcept {
  return session_.close_ || !session_.accepted_[index(direction_)].empty();
}

void Session::Accept::await_suspend(std::coroutine_handle<> handle) noexcept {
  Waiter*& slot = session_.accepting_[index(direction_)];
  TERN_CHECK(slot == nullptr);  // one coroutine accepts
  waiter_.suspend(handle);
  slot = &waiter_;
}

std::unique_ptr<Stream> Session::Accept::await_resume() {
  auto& accepted = session_.accepted_[index(direction_)];
  if (accepted.empty()) return nullptr;
  return accepted.pop();
}

Task<Result<std::unique_ptr<Stream>>> Session::open(Direction direction) {
  std::vector<Waiter*>& waiting = opening_[index(direction)];
  if (waiting.size() >= kMaxWaitingOpens) {
    co_return fail(Error::limit("too many coroutines wait to open a stream"));
  }
  // Those that came before have their turn first.
  for (bool first = waiting.empty(); !close_ && !(first && carrier_->may_open(direction));) {
    Turn turn(*this, direction);
    co_await turn;
    first = true;
  }
  if (close_) {
    co_return fail(close_->error ? *close_->error : Error::closed("the session is closed"));
  }
  ++stats_.streams_opened;
  std::unique_ptr<Stream> stream = carrier_->open(direction);
  on_credit(direction);
  co_return stream;
}

void Session::on_stream(std::unique_ptr<Stream> stream) {
  const std::size_t kind = index(stream->direction());
  ++stats_.streams_accepted;
  accepted_[kind].push(std::move(stream));
  if (accepting_[kind] != nullptr) accepting_[kind]->wake(runtime_.ready());
}

void Session::on_credit(Direction direction) noexcept {
  // One at a time: who has opened its stream wakes the next.
  auto& waiting = opening_[index(direction)];
  if (!waiting.empty() && carrier_->may_open(direction)) waiting.front()->wake(runtime_.ready());
}

// ---- datagrams ----------------------------------------------------------------------------------

bool Session::send_datagram(Bytes payload) {
  const std::size_t size = payload.size();
  if (!close_ && carrier_->send_datagram(std::move(payload))) return true;
  ++(size > max_datagram() && !close_ ? stats_.datagrams_too_large : stats_.datagrams_refused);
  return false;
}

std::size_t Session::max_datagram() const noexcept { return close_ ? 0 : carrier_->max_datagram(); }

bool Session::datagrams_are_reliable() const noexcept { return carrier_->datagrams_are_reliable(); }

Session::ReceiveDatagram::~ReceiveDatagram() {
  if (session_.datagram_reader_ == &waiter_) session_.datagram_reader_ = nullptr;
}

bool Session::ReceiveDatagram::await_ready() const noexcept {
  return session_.close_ || !session_.datagrams_.empty();
}

void Session::ReceiveDatagram::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(session_.datagram_reader_ == nullptr);
  waiter_.suspend(handle);
  session_.datagram_reader_ = &waiter_;
}

std::optional<Bytes> Session::ReceiveDatagram::await_resume() {
  if (session_.datagrams_.empty()) return std::nullopt;
  return session_.datagrams_.pop();
}

void Session::on_datagram(Bytes payload) {
  ++stats_.datagrams_received;
  if (datagrams_.size() == kMaxDatagrams) {
    ++stats_.datagrams_dropped;
    datagrams_.pop();
  }
  datagrams_.push(std::move(payload));
  if (datagram_reader_ != nullptr) datagram_reader_->wake(runtime_.ready());
}

// ---- all of it ----------------------------------------------------------------------------------

Session::Next::~Next() {
  for (Waiter** const slot :
       {&session_.accepting_[0], &session_.accepting_[1], &session_.datagram_reader_}) {
    if (*slot == &waiter_) *slot = nullptr;
  }
}

bool Session::Next::await_ready() const noexcept {
  return session_.close_ || !session_.accepted_[0].empty() || !session_.accepted_[1].empty() ||
         !session_.datagrams_.empty();
}

void Session::Next::await_suspend(std::coroutine_handle<> handle) noexcept {
  waiter_.suspend(handle);
  for (Waiter** const slot :
       {&session_.accepting_[0], &session_.accepting_[1], &session_.datagram_reader_}) {
    TERN_CHECK(*slot == nullptr);  // nobody else accepts or reads
    *slot = &waiter_;
  }
}

Session::Arrival Session::Next::await_resume() {
  Arrival arrival;
  for (auto& accepted : session_.accepted_) {
    if (accepted.empty()) continue;
    arrival.stream = accepted.pop();
    return arrival;
  }
  if (!session_.datagrams_.empty()) arrival.datagram = session_.datagrams_.pop();
  return arrival;
}

// ---- the end ------------------------------------------------------------------------------------

void Session::close(ApplicationCode code, std::string_view reason) {
  if (!close_) carrier_->close(code, cut(reason));
}

void Session::drain() {
  if (!close_) carrier_->drain();
}

void Session::on_drain() {
  if (std::exchange(draining_, true)) return;
  tell();
}

void Session::on_closed(SessionClose close) {
  TERN_CHECK(!close_);
  close_ = std::make_unique<const SessionClose>(std::move(close));
  for (std::size_t kind = 0; kind < accepted_.size(); ++kind) {
    if (accepting_[kind] != nullptr) accepting_[kind]->wake(runtime_.ready());
    for (Waiter* waiter : opening_[kind]) waiter->wake(runtime_.ready());
  }
  if (datagram_reader_ != nullptr) datagram_reader_->wake(runtime_.ready());
  tell();
}

bool Session::has_come(Until::What what) const noexcept {
  if (what == Until::What::draining) return close_ != nullptr || draining_;
  return close_ != nullptr && carrier_->gone();
}

void Session::tell() noexcept {
  for (Until* const waiting : waiting_) {
    if (has_come(waiting->what_)) waiting->waiter_.wake(runtime_.ready());
  }
}

void Session::Until::await_suspend(std::coroutine_handle<> handle) {
  waiter_.suspend(handle);
  session_.waiting_.push_back(this);
}

// ---- facts --------------------------------------------------------------------------------------

std::string_view Session::protocol() const noexcept { return carrier_->protocol(); }
std::string_view Session::carrier() const noexcept { return carrier_->name(); }
udp::Path Session::path() const noexcept { return carrier_->path(); }

SessionStats Session::stats() const {
  SessionStats stats = stats_;
  carrier_->measure(stats);
  return stats;
}

Result<std::vector<std::uint8_t>> Session::export_keying_material(std::string_view label,
                                                                  ByteView context,
                                                                  std::size_t size) const {
  if (close_) return fail(Error::closed("the session is closed"));
  // The rest is for those who derive to say: an output too large is not made first.
  std::vector<std::uint8_t> out(std::min(size, kMaxKeyingMaterial + 1));
  if (auto done = carrier_->export_keying_material(label, context, out); !done) {
    return fail(std::move(done).error());
  }
  return out;
}

std::uint64_t Session::progress() const noexcept {
  return carrier_->progress() + stats_.streams_opened + stats_.streams_accepted +
         stats_.datagrams_sent + stats_.datagrams_received;
}

}  // namespace tern::webtransport
