#include "http3/context.h"

#include <utility>

#include "base/check.h"
#include "http3/request_stream.h"
#include "http3/session_core.h"

namespace tern::http3 {

Context::Counts::Counts(Counters& counters)
    : sessions(counters.at("http3.sessions")),
      requests(counters.at("http3.requests")),
      responses(counters.at("http3.responses")),
      peer_resets(counters.at("http3.peer_resets")),
      peer_stops(counters.at("http3.peer_stops")),
      rejected(counters.at("http3.rejected")),
      malformed(counters.at("http3.malformed")),
      errors(counters.at("http3.errors")),
      peer_errors(counters.at("http3.peer_errors")),
      timeouts(counters.at("http3.timeouts")),
      stalled(counters.at("http3.stalled")),
      aged(counters.at("http3.aged")),
      limit_fields(counters.at("http3.limit.fields")),
      limit_body(counters.at("http3.limit.body")),
      limit_resets(counters.at("http3.limit.resets")),
      limit_glitches(counters.at("http3.limit.glitches")),
      limit_waiting(counters.at("http3.limit.waiting")),
      datagrams_received(counters.at("http3.datagrams_received")),
      datagrams_sent(counters.at("http3.datagrams_sent")),
      datagrams_dropped(counters.at("http3.datagrams_dropped")),
      early_data_replayed(counters.at("http3.early_data_replayed")),
      streams_refused(counters.at("http3.streams_refused")) {}

Context::Context(Runtime& runtime, SessionOptions options, http::ServerHooks hooks)
    : runtime_(runtime),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      counts_(runtime.counters()) {}

Context::~Context() {
  for (RequestStream* stream : spare_) delete stream;
}

std::unique_ptr<Session> Context::accept(quic::Connection& connection) {
  TERN_CHECK(hooks_.handler != nullptr && connection.is_server());
  return std::make_unique<SessionCore>(*this, connection, ClientHooks());
}

std::unique_ptr<Session> Context::connect(quic::Connection& connection, ClientHooks hooks) {
  TERN_CHECK(!connection.is_server());
  return std::make_unique<SessionCore>(*this, connection, std::move(hooks));
}

std::vector<std::uint8_t> Context::early_data_context(const SessionOptions& options) {
  return SessionCore::settings_of(options, true).serialize();
}

RequestStream* Context::take_stream() {
  if (spare_.empty()) return new RequestStream();
  RequestStream* stream = spare_.back();
  spare_.pop_back();
  return stream;
}

void Context::recycle(RequestStream* stream) noexcept {
  stream->clear();
  if (spare_.size() < kMaxSpareStreams) {
    spare_.push_back(stream);
  } else {
    delete stream;
  }
}

}  // namespace tern::http3
