#include "webtransport/stream.h"

#include "base/check.h"

namespace tern::webtransport {

namespace {

Error peer_error(std::optional<ApplicationCode> code, std::string what) {
  if (!code) return Error(Code::cancelled, std::move(what), Origin::remote);
  return Error(Domain::application, *code, std::move(what), Origin::remote);
}

}  // namespace

Stream::Stream(Runtime& runtime, StreamCarrier& carrier, std::uint64_t id, Direction direction,
               bool peers)
    : runtime_(runtime),
      carrier_(&carrier),
      id_(id),
      direction_(direction),
      receives_(direction == Direction::bidirectional || peers),
      sends_(direction == Direction::bidirectional || !peers),
      finished_(!sends_),
      incoming_(runtime) {
  if (!receives_) incoming_.finish();
}

Stream::~Stream() {
  TERN_CHECK(writer_ == nullptr && incoming_.reader == nullptr);
  if (carrier_ == nullptr) return;
  if (const std::size_t unread = incoming_.discard(); unread > 0) carrier_->consumed(unread);
  carrier_->detach();
}

// ---- receiving ----------------------------------------------------------------------------------

Stream::Read::~Read() {
  if (stream_.incoming_.reader == &waiter_) stream_.incoming_.reader = nullptr;
}

void Stream::Read::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(stream_.incoming_.reader == nullptr);
  waiter_.suspend(handle);
  stream_.incoming_.reader = &waiter_;
}

Result<Bytes> Stream::Read::await_resume() {
  Result<Bytes> piece = stream_.incoming_.take();
  if (piece && !piece->empty() && stream_.carrier_ != nullptr) {
    stream_.carrier_->consumed(piece->size());
  }
  return piece;
}

Task<Result<std::string>> Stream::read_all(std::size_t limit) {
  std::string all;
  for (;;) {
    Result<Bytes> piece = co_await read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) co_return all;
    if (piece->size() > limit - all.size()) {
      co_return fail(Error::limit("the stream is longer than " + std::to_string(limit) + " bytes"));
    }
    all.append(piece->text());
  }
}

void Stream::stop_sending(ApplicationCode code) {
  if (const std::size_t unread = incoming_.discard(); unread > 0 && carrier_ != nullptr) {
    carrier_->consumed(unread);
  }
  if (incoming_.ended()) return;
  if (carrier_ != nullptr) carrier_->stop_sending(code);
  incoming_.fail(Error(Code::cancelled, "our side does not read the stream"));
}

void Stream::on_reset(std::optional<ApplicationCode> code) {
  if (incoming_.ended()) return;
  reset_code_ = code;
  incoming_.discard();
  incoming_.fail(peer_error(code, "the peer has reset the stream"));
}

// ---- sending ------------------------------------------------------------------------------------

Stream::Write::~Write() {
  if (stream_.writer_ == &waiter_) stream_.writer_ = nullptr;
}

void Stream::Write::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(stream_.writer_ == nullptr);
  waiter_.suspend(handle);
  stream_.writer_ = &waiter_;
}

Result<void> Stream::Write::await_resume() {
  if (refused_) return fail(*std::move(refused_));
  if (stream_.send_error_) return fail(*stream_.send_error_);
  return {};
}

Stream::Write Stream::send(Bytes bytes, bool end) {
  if (send_error_) return Write(*this, send_error_);
  if (!sends_)
    return Write(*this, Error::invalid("the peer's unidirectional stream takes no data"));
  if (finished_) return Write(*this, Error::invalid("the stream has already ended"));
  if (bytes.empty() && !end) return Write(*this, std::nullopt);
  finished_ = end;
  TERN_CHECK(carrier_ != nullptr);
  carrier_->send(std::move(bytes), end);
  return Write(*this, std::nullopt);
}

void Stream::reset(ApplicationCode code) {
  if (!sends_ || send_error_ || carrier_ == nullptr) return;
  finished_ = true;
  carrier_->reset(code);
  fail_sending(Error(Code::cancelled, "our side has reset the stream"));
}

void Stream::on_stop_sending(std::optional<ApplicationCode> code) {
  if (send_error_) return;
  stop_code_ = code;
  finished_ = true;
  fail_sending(peer_error(code, "the peer does not want the stream"));
}

void Stream::fail_sending(Error error) {
  if (!send_error_) send_error_.emplace(std::move(error));
  if (writer_ != nullptr) writer_->wake(runtime_.ready());
  // Who waits for news of the stream, and does not write.
  if (incoming_.head_reader != nullptr) incoming_.head_reader->wake(runtime_.ready());
}

void Stream::drained() noexcept {
  if (writer_ == nullptr || carrier_ == nullptr || carrier_->unsent() > kLowWater) return;
  writer_->wake(runtime_.ready());
}

void Stream::carrier_gone(const Error& error) {
  if (carrier_ == nullptr) return;
  carrier_ = nullptr;
  if (!finished_) {
    finished_ = true;
    fail_sending(error);
  } else if (writer_ != nullptr) {
    writer_->wake(runtime_.ready());
  }
  incoming_.fail(error);
}

}  // namespace tern::webtransport
