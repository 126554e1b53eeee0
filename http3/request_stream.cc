#include "http3/request_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "http/message_lines.h"
#include "http3/qpack_encoder.h"
#include "http3/session_core.h"

/// A request stream's life, and what goes out on it.

namespace tern::http3 {

namespace {

ErrorCode code_for(http::Abort why) noexcept {
  switch (why) {
    case http::Abort::cancelled: return ErrorCode::request_cancelled;
    case http::Abort::rejected: return ErrorCode::request_rejected;
    case http::Abort::internal: return ErrorCode::internal_error;
    case http::Abort::malformed: return ErrorCode::message_error;
    case http::Abort::too_much: return ErrorCode::excessive_load;
    case http::Abort::no_error: return ErrorCode::no_error;
  }
  return ErrorCode::internal_error;
}

/// Up to here a piece of a body is copied behind its frame's header.
constexpr std::size_t kSmallBody = 512;

/// Whether the lines are within a limit of field sections.
bool fits(const http::RequestHead& head, std::string_view priority, std::uint64_t limit) {
  // Names of pseudo-headers and a priority are short.
  constexpr std::size_t kOthers = 6 * (http::kLineOverhead + 16);
  const std::size_t most = head.fields.section_size() + head.method.size() + head.scheme.size() +
                           head.authority.size() + head.path.size() + head.protocol.size() +
                           priority.size() + kOthers;
  if (most <= limit) return true;
  std::size_t size = 0;
  http::each_line(head, priority, [&](std::string_view name, std::string_view value) {
    size += name.size() + value.size() + http::kLineOverhead;
  });
  return size <= limit;
}

}  // namespace

Error peer_error(std::uint64_t number) {
  const auto error = static_cast<ErrorCode>(number);
  if (error == ErrorCode::request_rejected) {
    return Error(Code::rejected, "the peer refused the request before processing it",
                 Origin::remote);
  }
  return Error(Domain::application, number, std::string(name(error)), Origin::remote);
}

// ---- life ---------------------------------------------------------------------------------------

void RequestStream::begin(SessionCore& session, quic::StreamId id, Timestamp now) noexcept {
  session_ = &session;
  server_ = session.is_server();
  id_ = id;
  opened_ = last_received_ = last_sent_ = now;
}

void RequestStream::clear() noexcept {
  queue_.clear();
  count_queued();
  session_ = nullptr;
  ends_ = nullptr;
  id_ = -1;
  walker_ = FrameWalker();
  drop_exchange();
  head_.reset();
  fields_.clear();
  cookie_.clear();
  kept_trailers_.reset();
  section_.end();
  held_.clear();
  held_size_ = 0;
  expected_ = -1;
  announced_ = 0;
  fault_ = Fault::none;
  fault_reason_.clear();
  part_ = Part::head;
  priority_ = http::Priority();
  have_head_ = have_method_ = have_scheme_ = have_path_ = false;
  head_complete_ = receiving_done_ = stop_owed_ = waits_for_qpack_ = held_end_ = early_ = tunnel_ =
      false;
  had_empty_data_ = head_request_ = connect_request_ = false;
  priority_set_ = priority_wished_ = head_queued_ = submitted_ = end_queued_ = false;
  fin_sent_ = write_shut_ = blocked_ = waiting_ = keep_head_ = responding_ = closed_ = false;
  frames_.reset();
  flagged = counted = false;
  closed_with.reset();
  previous_scheduled = next_scheduled = nullptr;
  scheduled_as = -1;
}

void RequestStream::drop_exchange() noexcept {
  if (exchange_ == nullptr) return;
  exchange_->disown();
  exchange_.reset();
}

std::unique_ptr<http::Exchange> RequestStream::take_exchange() {
  if (exchange_ == nullptr) {  // no line of its head has come
    exchange_ = std::make_unique<http::Exchange>(session_->runtime(), *this);
  }
  http::RequestHead& head = exchange_->head();
  // What they are by default goes without saying, but not of a CONNECT, nor of half a head.
  if (!have_method_) head.method.clear();
  if (!have_scheme_) head.scheme.clear();
  if (!have_path_) head.path.clear();
  if (!cookie_.empty()) head.fields.add_lower("cookie", cookie_);
  exchange_->begin();
  return std::move(exchange_);
}

void RequestStream::detach() noexcept {
  ends_ = nullptr;
  if (closed_ || closed_with || id_ < 0) session_->remove(*this);
}

bool RequestStream::closed(std::uint64_t number) noexcept {
  closed_ = true;
  if (ends_ == nullptr) return true;
  const Error error = number != 0 ? peer_error(number)
                                  : Error(Code::closed, "the stream was closed", Origin::remote);
  if (!receiving_done_) ends_->incoming().fail(error);
  if (!sending_done()) ends_->outgoing().fail(error);
  receiving_done_ = true;
  return false;
}

void RequestStream::connection_gone(const Error& error) noexcept {
  if (ends_ == nullptr) return;
  http::detail::Ends& ends = *std::exchange(ends_, nullptr);
  if (!is_server() && !submitted_) {
    ends.carrier_gone(Error(
        Code::rejected, "the connection ended before the request was sent: " + error.to_string()));
  } else {
    ends.carrier_gone(error);
  }
}

void RequestStream::stop_receiving(ErrorCode code) noexcept {
  if (receiving_done_ || closed_) return;
  receiving_done_ = true;
  if (id_ < 0) return;
  session_->connection().stop_sending(id_, http3::code(code));
  leave_section();
}

void RequestStream::stop_sending(ErrorCode code) noexcept {
  if (sending_done() || closed_) return;
  write_shut_ = true;
  if (id_ < 0) return;
  session_->connection().reset(id_, http3::code(code));
  session_->leave_turn(*this);
  session_->wake();
}

void RequestStream::fail(ErrorCode code, const Error& error) noexcept {
  const bool unfinished = !sending_done();
  drop_exchange();
  stop_receiving(code);
  stop_sending(code);
  if (ends_ == nullptr) return;
  ends_->incoming().fail(error);
  if (unfinished) ends_->outgoing().fail(error);
}

void RequestStream::refuse(const Error& error) noexcept {
  if (waiting_) session_->unschedule(*this);
  waiting_ = false;
  fail(ErrorCode::request_cancelled, error);
}

void RequestStream::set_fault(Fault fault, std::string reason) noexcept {
  if (fault_ != Fault::none) return;
  fault_ = fault;
  fault_reason_ = std::move(reason);
  session_->flag(*this);
}

// ---- Carrier: what goes out ---------------------------------------------------------------------

http::Session* RequestStream::session() noexcept { return session_; }

udp::Path RequestStream::path() const noexcept { return session_->connection().path(); }

bool RequestStream::early_data() const noexcept {
  return early_ && !session_->connection().handshake_complete();
}

void RequestStream::send_request(const http::RequestHead& head, bool end) {
  end_queued_ = end;
  head_request_ = head.method == "HEAD";
  connect_request_ = head.method == "CONNECT";
  if (!session_->accepts_requests()) {
    refuse(Error(Code::rejected, "the connection takes no more requests"));
    return;
  }
  if (session_->submit_now(*this, head)) return;
  head_ = std::make_unique<http::RequestHead>(head);
  waiting_ = true;
  session_->schedule(*this);
}

void RequestStream::submit_kept(quic::StreamId id) {
  keep_head_ = session_->in_early_data();
  submit(id, *head_);
  if (!keep_head_) forget_kept();
}

void RequestStream::submit(quic::StreamId id, const http::RequestHead& head) {
  id_ = id;
  waiting_ = false;
  if (session_->qlog().on()) session_->qlog().request_stream(true, id_);
  if (!head_queued_) submit_request(head);
  if (!head_queued_) return;
  submitted_ = true;
  if (kept_trailers_) queue_trailers(*std::exchange(kept_trailers_, std::nullopt));
  session_->take_turn(*this);
}

void RequestStream::submit_request(const http::RequestHead& head) {
  const std::string priority = priority_set_ ? priority_.to_string() : std::string();
  if (!fits(head, priority, session_->peer_field_limit())) {
    fail(ErrorCode::request_cancelled,
         Error::limit("the request's header section is larger than the server takes"));
    return;
  }
  // Many requests are one that was sent before.
  QpackEncoder& encoder = session_->encoder();
  const bool plain = priority.empty() && head.protocol.empty() && !session_->qlog().on();
  ByteView frame;
  if (plain) frame = encoder.recall(id_, head);
  if (frame.empty()) {
    SectionWriter writer(*session_, id_);
    http::each_line(head, priority, writer);
    frame = writer.finish();
    if (plain) encoder.remember(head);
  }
  queue_head(frame);
}

void RequestStream::forget_kept() noexcept {
  keep_head_ = false;
  if (submitted_ && !is_server()) head_.reset();
}

bool RequestStream::rewind() noexcept {
  if (ends_ == nullptr || write_shut_ || waiting_) return waiting_;
  // No section of 0-RTT refers to a dynamic table, so what is queued may go as it is.
  queue_.rewind();
  count_queued();
  walker_ = FrameWalker();
  id_ = -1;
  submitted_ = fin_sent_ = blocked_ = false;
  waiting_ = true;
  return true;
}

void RequestStream::send_response(http::Status status, http::Fields fields, bool end) {
  if (sending_done() || closed_) return;
  const int number = http::code(status);
  const bool interim = number < 200;
  if (!interim) {
    responding_ = submitted_ = true;
    end_queued_ = end;
    const std::uint64_t limit = session_->peer_field_limit();
    if (fields.section_size() + http::kStatusSize > limit &&
        http::section_size(fields) + http::kStatusSize > limit) {
      // RFC 9114 §4.2.2: the client would refuse it.
      stop_sending(ErrorCode::internal_error);
      if (ends_ != nullptr) {
        ends_->outgoing().fail(
            Error::limit("the response's header section is larger than the client takes"));
      }
      return;
    }
    session_->context().counts().responses.add();
  }
  submitted_ = true;
  // What many responses consist of was mostly encoded before.
  QpackEncoder& encoder = session_->encoder();
  const bool logged = session_->qlog().on();
  ByteView frame;
  if (!logged) frame = encoder.recall(id_, number, fields);
  if (frame.empty()) {
    SectionWriter writer(*session_, id_);
    const http::StatusText text(status);
    writer(":status", text);
    http::each_line(fields, writer);
    frame = writer.finish();
    if (!logged) encoder.remember(number, fields);
  }
  queue_frame(frame);
  session_->take_turn(*this);
}

void RequestStream::send_body(Bytes bytes, bool end) {
  if (sending_done() || closed_) return;
  end_queued_ = end;
  if (!bytes.empty()) queue_body(std::move(bytes));
  resume_sending();
}

void RequestStream::send_trailers(const http::Fields& trailers) {
  if (sending_done() || closed_) return;
  end_queued_ = true;
  if (!submitted_) {
    kept_trailers_ = trailers;
    return;
  }
  queue_trailers(trailers);
  resume_sending();
}

void RequestStream::queue_trailers(const http::Fields& trailers) {
  constexpr int kTrailers = 0;  // where a response has its status
  QpackEncoder& encoder = session_->encoder();
  const bool logged = session_->qlog().on();
  ByteView frame;
  if (!logged) frame = encoder.recall(id_, kTrailers, trailers);
  if (frame.empty()) {
    SectionWriter writer(*session_, id_);
    http::each_line(trailers, writer);
    frame = writer.finish();
    if (!logged) encoder.remember(kTrailers, trailers);
  }
  queue_frame(frame);
}

/// Client: the body may have been queued before there was a stream.
void RequestStream::queue_head(ByteView frame) {
  head_queued_ = true;
  if (queue_.empty()) {
    queue_frame(frame);
  } else {
    queue_.push_front(Bytes::copy(frame));
    count_queued();
  }
}

void RequestStream::queue_frame(ByteView bytes) {
  if (frames_ == nullptr) frames_ = std::make_unique_for_overwrite<FrameSpace>();
  if (bytes.size() > frames_->bytes.size() - frames_->size) {
    queue_.push(Bytes::copy(bytes));
    count_queued();
    return;
  }
  std::uint8_t* const at = frames_->bytes.data() + frames_->size;
  std::memcpy(at, bytes.data(), bytes.size());
  frames_->size += bytes.size();
  if (!queue_.extend(at, bytes.size())) queue_.push(Bytes::literal(as_text({at, bytes.size()})));
  count_queued();
}

/// A DATA frame.
void RequestStream::queue_body(Bytes bytes) {
  std::array<std::uint8_t, 1 + kMaxVarintSize + kSmallBody> frame;
  frame[0] = static_cast<std::uint8_t>(kFrameData);
  std::uint8_t* out = write_varint(frame.data() + 1, bytes.size());
  if (session_->qlog().on()) session_->qlog().data_frame(true, id_, bytes.size());
  const bool small = bytes.size() <= kSmallBody;
  if (small) out = std::copy(bytes.begin(), bytes.end(), out);
  queue_frame({frame.data(), out});
  if (small) return;
  queue_.push(std::move(bytes));
  count_queued();
}

/// After each change of the queue.
void RequestStream::count_queued() noexcept {
  const std::size_t unsent = queue_.unsent();
  session_->queued().changed(counted_, unsent);
  counted_ = unsent;
}

std::size_t RequestStream::unsent() const noexcept {
  return session_->queued().felt(queue_.unsent());
}

void RequestStream::resume_sending() {
  if (!submitted_) return;
  if (is_server() && !fin_sent_) session_->watch();
  session_->take_turn(*this);
}

void RequestStream::consumed(std::size_t count) {
  if (id_ < 0) return;
  last_received_ = session_->now();
  session_->connection().consumed(id_, count);
}

void RequestStream::abort(http::Abort why) {
  if (waiting_) {
    session_->unschedule(*this);
    waiting_ = false;
  }
  const ErrorCode code = code_for(why);
  stop_receiving(code);
  stop_sending(code);
}

void RequestStream::stop_reading(http::Abort why) {
  // A request that is a head alone so far may be answered before its end has come, which is on its
  // way. Who is told to stop then may take the answer for broken, against RFC 9114 §4.1 (hyperium's
  // h3 does).
  const bool head_alone = is_server() && why == http::Abort::no_error && head_complete_ &&
                          expected_ < 0 && announced_ == 0 && !tunnel_;
  if (!head_alone || receiving_done_ || closed_) return stop_receiving(code_for(why));
  receiving_done_ = stop_owed_ = true;
  session_->watch();
  leave_section();
}

void RequestStream::stop_owed() noexcept {
  if (!std::exchange(stop_owed_, false) || closed_) return;
  session_->connection().stop_sending(id_, http3::code(ErrorCode::no_error));
}

void RequestStream::set_priority(http::Priority priority) {
  if (closed_) return;
  session_->leave_turn(*this);
  priority_ = priority;
  priority_set_ = true;
  session_->take_turn(*this);
  if (!is_server()) {
    if (!submitted_) return;  // goes with the request
    // RFC 9218 §7: an empty value is the default.
    session_->send_priority_update(id_, priority.to_string());
  }
  if (session_->qlog().on()) session_->qlog().priority_updated(id_, priority, false);
}

bool RequestStream::wish(http::Priority priority) noexcept {
  if (priority_set_) return false;
  priority_ = priority;
  priority_wished_ = true;
  return true;
}

void RequestStream::datagram(Bytes payload) {
  if (ends_ != nullptr) ends_->incoming().push_datagram(std::move(payload));
}

bool RequestStream::send_datagram(ByteView payload) {
  return id_ >= 0 && !closed_ && !write_shut_ && session_->send_datagram(id_, payload);
}

std::size_t RequestStream::max_datagram() const noexcept {
  return id_ < 0 ? 0 : session_->max_datagram(id_);
}

std::size_t RequestStream::offer(std::span<quic::Vec> vecs, bool& fin) const noexcept {
  std::size_t size = 0;
  const std::size_t count = queue_.offer(vecs, size);
  fin = end_queued_ && size == queue_.unsent();
  return count;
}

void RequestStream::sent(std::size_t count, bool fin, Timestamp now) noexcept {
  queue_.sent(count);
  count_queued();
  fin_sent_ = fin_sent_ || fin;
  last_sent_ = now;
  if (ends_ != nullptr) ends_->outgoing().drained();
}

void RequestStream::acked(std::uint64_t count) noexcept {
  queue_.acked(count);
  if (queue_.empty()) frames_.reset();
}

void RequestStream::set_blocked(bool blocked, Timestamp now) noexcept {
  if (blocked && !blocked_) last_sent_ = now;
  blocked_ = blocked;
}

void RequestStream::peer_stopped() noexcept {
  if (sending_done() || closed_) return;
  write_shut_ = true;
  session_->context().counts().peer_stops.add();
  if (ends_ != nullptr)
    ends_->outgoing().fail(peer_error(http3::code(ErrorCode::request_cancelled)));
}

// ---- time limits --------------------------------------------------------------------------------

bool RequestStream::watched() const noexcept {
  return !closed_ && (!receiving_done_ || stop_owed_ || blocked_ || wants_to_send());
}

RequestStream::Late RequestStream::late(Timestamp now) const noexcept {
  const SessionOptions& options = session_->options();
  if (blocked_ && !sending_done() && now - last_sent_ >= options.send_timeout) {
    return Late::stalled;
  }
  if (stop_owed_ && !closed_) {
    return now - last_received_ >= options.head_timeout ? Late::endless : Late::no;
  }
  if (receiving_done_ || closed_) return Late::no;
  if (!head_complete_) return now - opened_ >= options.head_timeout ? Late::head : Late::no;
  if (tunnel_ || (expected_ < 0 && responding_)) return Late::no;
  if (ends_ != nullptr && ends_->incoming().buffered() > 0) return Late::no;
  return now - last_received_ >= options.body_timeout ? Late::body : Late::no;
}

}  // namespace tern::http3
