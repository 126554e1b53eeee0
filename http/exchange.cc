#include "http/exchange.h"

#include <algorithm>
#include <exception>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "http/date.h"
#include "http/escape.h"

namespace tern::http {

namespace {

std::optional<Error> invalid_field(const Fields& fields) {
  const std::optional<Field> field = fields.first_invalid();
  if (!field) return std::nullopt;
  if (!Fields::valid_name(field->name)) {
    return Error::invalid("field name \"" + escaped(field->name, 64) + "\" is no token");
  }
  return Error::invalid("the value of field " + std::string(field->name) +
                        " holds a control character, or has blanks around it");
}

/// "100-continue", any case: the only expectation there is.
bool is_continue(std::string_view expect) noexcept {
  constexpr std::string_view kContinue = "100-continue";
  return expect.size() == kContinue.size() &&
         std::equal(expect.begin(), expect.end(), kContinue.begin(),
                    [](char a, char b) { return a == b || (a | 0x20) == b; });
}

/// The date field of this second. The text depends on the second alone, so a thread's runtimes may
/// share it.
std::string_view date_text(UnixSeconds now) noexcept {
  thread_local UnixSeconds second = 0;
  thread_local HttpDate text(0);
  if (second != now) {
    second = now;
    text = HttpDate(now);
  }
  return text;
}

}  // namespace

// ---- what comes and goes ------------------------------------------------------------------------

void Incoming::wake(Waiter* waiter) noexcept {
  if (waiter != nullptr) waiter->wake(runtime_.ready());
}

bool Incoming::push(Bytes bytes) {
  if (ended()) return false;
  if (bytes.empty()) return true;  // an empty piece would read as the end
  buffered_ += bytes.size();
  queue_.push(std::move(bytes));
  wake(reader);
  return true;
}

bool Incoming::push(ChunkArena& arena, ByteView bytes) {
  if (ended()) return false;
  if (bytes.empty()) return true;
  if (queue_.empty() || !arena.extend(queue_.back(), bytes)) return push(arena.copy(bytes));
  buffered_ += bytes.size();  // a reader was woken for the piece that grew
  return true;
}

void Incoming::finish() noexcept {
  if (ended()) return;
  finished_ = true;
  wake(reader);
  wake(datagram_reader);
  wake(head_reader);
}

void Incoming::push_datagram(Bytes payload) {
  if (ended()) return;
  if (datagrams_.size() == kMaxDatagrams) datagrams_.pop();
  datagrams_.push(std::move(payload));
  wake(datagram_reader);
}

void Incoming::fail(Error error) {
  if (ended()) return;
  error_.emplace(std::move(error));
  wake(reader);
  wake(datagram_reader);
  wake(head_reader);
}

Result<Bytes> Incoming::take() {
  if (!queue_.empty()) {
    Bytes piece = queue_.pop();
    buffered_ -= piece.size();
    return piece;
  }
  if (error_) return tern::fail(*error_);
  TERN_CHECK(finished_);
  return Bytes();
}

Result<Bytes> Incoming::take_datagram() {
  if (!datagrams_.empty()) return datagrams_.pop();
  if (error_) return tern::fail(*error_);
  TERN_CHECK(finished_);
  return tern::fail(Error(Code::closed, "the peer has ended its stream", Origin::remote));
}

std::size_t Incoming::discard() noexcept {
  const std::size_t dropped = buffered_;
  queue_.clear();
  datagrams_.clear();
  buffered_ = 0;
  return dropped;
}

void Outgoing::drained() noexcept {
  if (writer == nullptr || carrier_ == nullptr || carrier_->unsent() > kLowWater) return;
  writer->wake(runtime_.ready());
}

void Outgoing::fail(Error error) {
  if (!error_) error_.emplace(std::move(error));
  if (writer != nullptr) writer->wake(runtime_.ready());
  if (watcher != nullptr) watcher->wake(runtime_.ready());
}

void Outgoing::release() noexcept {
  carrier_ = nullptr;
  if (writer != nullptr) writer->wake(runtime_.ready());
}

// ---- what both ends share -----------------------------------------------------------------------

namespace detail {

Ends::~Ends() {
  if (carrier_ == nullptr) return;
  if (const std::size_t unread = incoming_.discard(); unread > 0) carrier_->consumed(unread);
  carrier_->detach();
}

void Ends::carrier_gone(Error error) {
  if (carrier_ == nullptr) return;
  gone_ = std::make_unique<Gone>();
  gone_->protocol = carrier_->protocol();
  gone_->path = carrier_->path();
  carrier_ = nullptr;
  if (!finished_) outgoing_.fail(error);
  outgoing_.release();
  incoming_.fail(std::move(error));
}

std::string_view Ends::protocol() const noexcept {
  if (carrier_ != nullptr) return carrier_->protocol();
  return gone_ != nullptr ? std::string_view(gone_->protocol) : std::string_view();
}

udp::Path Ends::path() const noexcept {
  if (carrier_ != nullptr) return carrier_->path();
  return gone_ != nullptr ? gone_->path : udp::Path();
}

Ends::Read::~Read() {
  if (ends_.incoming_.reader == &waiter_) ends_.incoming_.reader = nullptr;
}

void Ends::Read::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(ends_.incoming_.reader == nullptr);
  waiter_.suspend(handle);
  ends_.incoming_.reader = &waiter_;
}

Result<Bytes> Ends::Read::await_resume() {
  Result<Bytes> piece = ends_.incoming_.take();
  if (piece && !piece->empty() && ends_.carrier_ != nullptr) {
    ends_.carrier_->consumed(piece->size());
  }
  return piece;
}

Ends::ReadDatagram::~ReadDatagram() {
  if (ends_.incoming_.datagram_reader == &waiter_) ends_.incoming_.datagram_reader = nullptr;
}

void Ends::ReadDatagram::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(ends_.incoming_.datagram_reader == nullptr);
  waiter_.suspend(handle);
  ends_.incoming_.datagram_reader = &waiter_;
}

Result<Bytes> Ends::ReadDatagram::await_resume() { return ends_.incoming_.take_datagram(); }

bool Ends::send_datagram(ByteView payload) {
  return carrier_ != nullptr && carrier_->send_datagram(payload);
}

std::size_t Ends::max_datagram() const noexcept {
  return carrier_ != nullptr ? carrier_->max_datagram() : 0;
}

void Ends::send_continue() {
  continue_wanted_ = false;
  if (carrier_ == nullptr || head_sent_ || outgoing_.failed() || incoming_.readable()) return;
  carrier_->send_response(Status::continue_, Fields(), false);
}

Task<Result<std::string>> Ends::read_all(std::size_t limit) {
  std::string body;
  for (;;) {
    Result<Bytes> piece = co_await read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) co_return body;
    if (piece->size() > limit - body.size()) {
      co_return fail(Error::limit("the body is longer than " + std::to_string(limit) + " bytes"));
    }
    body.append(piece->text());
  }
}

Ends::Write::~Write() {
  if (ends_.outgoing_.writer == &waiter_) ends_.outgoing_.writer = nullptr;
}

bool Ends::Write::await_ready() const noexcept {
  return refused_.has_value() || !ends_.outgoing_.full();
}

void Ends::Write::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(ends_.outgoing_.writer == nullptr);
  waiter_.suspend(handle);
  ends_.outgoing_.writer = &waiter_;
}

Result<void> Ends::Write::await_resume() {
  if (refused_) return fail(*std::move(refused_));
  if (ends_.outgoing_.failed()) return fail(ends_.outgoing_.error());
  return Result<void>();
}

std::optional<Error> Ends::refusal() const {
  if (outgoing_.failed()) return outgoing_.error();
  if (!head_sent_) return Error::invalid("a body before the message's head");
  if (finished_) return Error::invalid("the message has already ended");
  return std::nullopt;
}

Ends::Write Ends::send_piece(Bytes bytes, bool end) {
  if (auto error = refusal()) return refuse(*std::move(error));
  if (bodyless_) {
    finished_ = end;
    return done();
  }
  if (bytes.size() > remaining_) {
    return refuse(Error::invalid("the body is longer than its content-length"));
  }
  if (remaining_ != kUnknownLength) {
    if (end && bytes.size() < remaining_) {
      const std::string missing = std::to_string(remaining_ - bytes.size());
      abort(Abort::internal);
      return refuse(
          Error::invalid("the body is " + missing + " bytes shorter than its content-length"));
    }
    remaining_ -= bytes.size();
  }
  if (bytes.empty() && !end) return done();
  sent_bytes_ += bytes.size();
  finished_ = end;
  carrier_->send_body(std::move(bytes), end);
  return done();
}

Ends::Write Ends::finish(const Fields& trailers) {
  if (trailers.empty() || bodyless_) return finish();
  if (auto error = refusal()) return refuse(*std::move(error));
  if (auto error = invalid_field(trailers)) return refuse(*std::move(error));
  if (remaining_ != kUnknownLength && remaining_ > 0) return finish();  // too short: resets
  finished_ = true;
  carrier_->send_trailers(trailers);
  return done();
}

void Ends::set_priority(Priority priority) {
  if (carrier_ != nullptr) carrier_->set_priority(priority);
}

void Ends::abort(Abort why) {
  if (std::exchange(aborted_, true)) return;
  if (carrier_ != nullptr) {
    if (const std::size_t unread = incoming_.discard(); unread > 0) carrier_->consumed(unread);
    carrier_->abort(why);
  }
  const Error error(Code::cancelled, "given up by our side");
  incoming_.fail(error);
  if (!finished_) outgoing_.fail(error);
}

void Ends::stop_reading(Abort why) {
  if (const std::size_t unread = incoming_.discard(); unread > 0 && carrier_ != nullptr) {
    carrier_->consumed(unread);
  }
  if (incoming_.ended()) return;
  if (carrier_ != nullptr) carrier_->stop_reading(why);
  incoming_.fail(Error(Code::cancelled, "our side does not read the body"));
}

}  // namespace detail

// ---- server -------------------------------------------------------------------------------------

Exchange::Exchange(Runtime& runtime, Carrier& carrier, RequestHead&& request)
    : Ends(runtime, carrier), request_(std::move(request)) {
  begin();
}

Exchange::Exchange(Runtime& runtime, Carrier& carrier) noexcept : Ends(runtime, carrier) {}

void Exchange::begin() noexcept {
  started_ = runtime_.now();
  path_size_ = request_.path_only().size();
  const auto expect = request_.fields.find("expect");
  continue_wanted_ = expect && is_continue(*expect);
}

Exchange::~Exchange() {
  if (carrier_ == nullptr) return;
  if (!finished_ && !bodyless_) {
    abort(Abort::cancelled);
  } else if (!incoming_.ended()) {
    stop_reading(Abort::no_error);
  }
}

std::string_view Exchange::parameter(std::string_view name) const noexcept {
  for (const auto& [key, value] : parameters_) {
    if (key == name) return value;
  }
  return {};
}

void Exchange::set_parameter(std::string_view name, std::string_view value) {
  for (auto& [key, old] : parameters_) {
    if (key == name) {
      old = value;
      return;
    }
  }
  parameters_.emplace_back(name, value);
}

bool Exchange::early_data() const noexcept {
  return (carrier_ != nullptr && carrier_->early_data()) ||
         request_.fields.find("early-data") == "1";
}

/// Checks a final response and completes its fields. `whole`: its body is all there is.
std::optional<Error> Exchange::prepare(Response& response, bool whole) {
  if (outgoing_.failed()) return outgoing_.error();
  if (head_sent_) return Error::invalid("a second response to one request");
  const int number = code(response.status());
  if (number < 200 || number > 999) {
    return Error::invalid("status " + std::to_string(number) + " is not that of a final response");
  }
  if (auto error = invalid_field(response.fields())) return error;

  // RFC 9110 §6.4.1 and §8.6.
  const bool tunnel = request_.method == "CONNECT" && number < 300;
  const bool no_length = number == 204 || tunnel;
  const bool bodyless =
      !tunnel && (request_.method == "HEAD" || number == 204 || number == 205 || number == 304);
  if (no_length) response.fields().remove("content-length");
  std::uint64_t declared = kUnknownLength;
  if (const auto value = response.fields().find("content-length")) {
    const auto length = parse_content_length(*value);
    if (!length) return Error::invalid("content-length \"" + escaped(*value, 64) + "\"");
    if (!bodyless) {
      declared = *length;
      if (response.body().size() > declared || (whole && response.body().size() != declared)) {
        return Error::invalid("the body does not fit its content-length");
      }
    }
  } else if (whole && !no_length && number != 304 && !response.fields().contains("grpc-status")) {
    // gRPC's Trailers-Only is a block of trailers: its end is its length.
    response.fields().add("content-length",
                          std::to_string(number == 205 ? 0 : response.body().size()));
  }
  if (!response.fields().contains("date")) {
    response.fields().add("date", date_text(runtime_.unix_seconds()));
  }
  head_sent_ = true;
  status_ = number;
  tunnel_ = tunnel;
  bodyless_ = bodyless;
  remaining_ = declared;
  return std::nullopt;
}

Exchange::Write Exchange::respond(Response response) {
  if (auto error = prepare(response, true)) return refuse(*std::move(error));
  const bool end = bodyless_ || response.body().empty();
  finished_ = true;
  carrier_->send_response(response.status(), std::move(response.fields()), end);
  if (!end) {
    sent_bytes_ = response.body().size();
    carrier_->send_body(response.body(), true);
  }
  return done();
}

Exchange::Write Exchange::inform(Status status, const Fields& fields) {
  if (outgoing_.failed()) return refuse(outgoing_.error());
  if (head_sent_) return refuse(Error::invalid("an interim response after the final one"));
  const int number = code(status);
  if (number < 100 || number > 199 || number == 101) {
    return refuse(Error::invalid("status " + std::to_string(number) + " is no interim response's"));
  }
  if (auto error = invalid_field(fields)) return refuse(*std::move(error));
  carrier_->send_response(status, fields, false);
  return done();
}

Exchange::Write Exchange::start(Response response) {
  if (auto error = prepare(response, false)) return refuse(*std::move(error));
  // There is no 100 (Continue) behind the final head, and a client that waits for it would keep
  // back the body that the handler reads while it answers.
  if (continue_wanted_ && status_ < 300 && !bodyless_ && !tunnel_ && !incoming_.readable()) {
    carrier_->send_response(Status::continue_, Fields(), false);
  }
  carrier_->send_response(response.status(), std::move(response.fields()), bodyless_);
  if (response.body().empty()) return done();
  return write(response.body());
}

// ---- client -------------------------------------------------------------------------------------

ClientExchange::ClientExchange(Runtime& runtime, Carrier& carrier) : Ends(runtime, carrier) {}

ClientExchange::~ClientExchange() {
  if (carrier_ != nullptr && !(finished_ && incoming_.finished())) Ends::abort(Abort::cancelled);
}

namespace {

bool visible(std::string_view text) noexcept {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
  }
  return true;
}

std::optional<Error> invalid_head(const RequestHead& head) {
  std::string method = head.method;
  for (char& c : method) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (!Fields::valid_name(method)) {
    return Error::invalid("method \"" + escaped(head.method, 64) + "\" is no token");
  }
  const bool plain_connect = head.method == "CONNECT" && head.protocol.empty();
  if (!visible(head.authority) || !visible(head.scheme) || !visible(head.protocol)) {
    return Error::invalid("blanks or control characters in scheme, authority or protocol");
  }
  if (plain_connect ? head.authority.empty() : head.path.empty() || !visible(head.path)) {
    return Error::invalid("path \"" + escaped(head.path, 64) + "\"");
  }
  if (!head.protocol.empty() && head.method != "CONNECT") {
    return Error::invalid("a protocol goes with CONNECT alone (RFC 9220)");
  }
  return invalid_field(head.fields);
}

}  // namespace

ClientExchange::Write ClientExchange::send(const RequestHead& head, bool end) {
  if (outgoing_.failed()) return refuse(outgoing_.error());
  if (head_sent_) return refuse(Error::invalid("a second request on one exchange"));
  if (auto error = invalid_head(head)) return refuse(*std::move(error));
  if (const auto value = head.fields.find("content-length")) {
    const auto length = parse_content_length(*value);
    if (!length || (end && *length != 0)) {
      return refuse(Error::invalid("content-length \"" + escaped(*value, 64) + "\""));
    }
    remaining_ = *length;
  }
  head_sent_ = true;
  finished_ = end;
  carrier_->send_request(head, end);
  return done();
}

void ClientExchange::on_interim(Status status, Fields fields) {
  if (interim_.size() == kMaxInterim) return;
  interim_.emplace_back(status);
  interim_.back().fields(std::move(fields));
}

void ClientExchange::on_response(Status status, Fields fields) {
  response_.emplace(status);
  response_->fields(std::move(fields));
  if (incoming_.head_reader != nullptr) incoming_.head_reader->wake(runtime_.ready());
}

ClientExchange::Head::~Head() {
  if (exchange_.incoming_.head_reader == &waiter_) exchange_.incoming_.head_reader = nullptr;
}

bool ClientExchange::Head::await_ready() const noexcept {
  return exchange_.response_.has_value() || exchange_.incoming_.ended();
}

void ClientExchange::Head::await_suspend(std::coroutine_handle<> handle) noexcept {
  TERN_CHECK(exchange_.incoming_.head_reader == nullptr);
  waiter_.suspend(handle);
  exchange_.incoming_.head_reader = &waiter_;
}

Result<Response> ClientExchange::Head::await_resume() {
  if (exchange_.response_) {
    Response response = *std::move(exchange_.response_);
    exchange_.response_.reset();
    return response;
  }
  if (exchange_.incoming_.error()) return fail(*exchange_.incoming_.error());
  return fail(Error(Code::closed, "the stream ended without a response", Origin::remote));
}

// ---- serving ------------------------------------------------------------------------------------

namespace {

void log_handler_error(Exchange& exchange, std::string_view what) {
  LogSink& log = exchange.runtime().log();
  if (!log.enabled(LogLevel::error)) return;
  std::string line = "handler of ";
  line.append(escaped(exchange.method(), 32)).append(" ");
  line.append(escaped(exchange.request().path_only(), 256)).append(" ").append(what);
  log.line(LogLevel::error, line);
}

}  // namespace

void Exchange::end_after_handler(bool threw) {
  if (outgoing_.failed() || finished_ || bodyless_) return;
  if (!responded()) {
    if (!threw) log_handler_error(*this, "returned without a response");
    const Write sent = respond(Status::internal_server_error, "Internal Server Error\n");
  } else if (tunnel_ && !threw) {
    const Write ended = finish();
  } else {
    if (!threw) log_handler_error(*this, "returned before the end of its response");
    abort(Abort::internal);
  }
}

template <typename Coroutine, typename... Owner>
Coroutine run_handler(Owner&..., const Handler* handler, std::unique_ptr<Exchange> exchange,
                      const std::function<void(const Exchange&)>* done) {
  bool threw = false;
  try {
    co_await (*handler)(*exchange);
  } catch (const std::exception& exception) {
    threw = true;
    log_handler_error(*exchange, "threw: " + escaped(exception.what()));
  } catch (...) {
    threw = true;
    log_handler_error(*exchange, "threw something that is no std::exception");
  }
  exchange->end_after_handler(threw);
  if (done != nullptr && *done) (*done)(*exchange);
}

Task<void> serve(const Handler* handler, std::unique_ptr<Exchange> exchange,
                 const std::function<void(const Exchange&)>* done) {
  return run_handler<Task<void>>(handler, std::move(exchange), done);
}

void serve_in(Scope& scope, const Handler& handler, std::unique_ptr<Exchange> exchange,
              const std::function<void(const Exchange&)>& done) {
  run_handler<Scope::Spawned, Scope>(scope, &handler, std::move(exchange), &done);
}

Task<void> serve(Handler handler, std::unique_ptr<Exchange> exchange,
                 std::function<void(const Exchange&)> done) {
  co_await serve(&handler, std::move(exchange), &done);
}

}  // namespace tern::http
