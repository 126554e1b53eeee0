#include "http/fallback/context.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "http/fallback/context_core.h"
#include "http/fallback/http1_session.h"
#include "http/fallback/http2_session.h"
#include "http/fallback/session_base.h"
#include "http/fallback/sniffed_session.h"

namespace tern::fallback {

// ---- ContextCore --------------------------------------------------------------------------------

ContextCore::Counts::Counts(Counters& counters, const std::string& protocol)
    : sessions(counters.at(protocol + ".sessions")),
      requests(counters.at(protocol + ".requests")),
      responses(counters.at(protocol + ".responses")),
      peer_resets(counters.at(protocol + ".peer_resets")),
      rejected(counters.at(protocol + ".rejected")),
      malformed(counters.at(protocol + ".malformed")),
      errors(counters.at(protocol + ".errors")),
      peer_errors(counters.at(protocol + ".peer_errors")),
      timeouts(counters.at(protocol + ".timeouts")),
      stalled(counters.at(protocol + ".stalled")),
      aged(counters.at(protocol + ".aged")),
      limit_fields(counters.at(protocol + ".limit.fields")),
      limit_body(counters.at(protocol + ".limit.body")),
      limit_resets(counters.at(protocol + ".limit.resets")),
      limit_glitches(counters.at(protocol + ".limit.glitches")),
      limit_waiting(counters.at(protocol + ".limit.waiting")) {}

ContextCore::ContextCore(Runtime& runtime, SessionOptions options, http::ServerHooks hooks)
    : runtime_(runtime),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      http1_(runtime.counters(), "http1"),
      http2_(runtime.counters(), "http2"),
      http2_pool_(runtime.counters()) {
  runtime_.add(*this);
}

ContextCore::~ContextCore() {
  runtime_.remove(*this);
  // Exchanges let go of their carriers before those are freed.
  for (const auto& session : sessions_) {
    if (!session->hidden()) session->end(Error::closed());
  }
  sessions_.clear();
}

SessionBase& ContextCore::add(std::unique_ptr<SessionBase> session) {
  SessionBase& added = *session;
  added.index = sessions_.size();
  if (added.in_front == nullptr) ++live_;  // else it stands in for one that is counted
  sessions_.push_back(std::move(session));
  added.start();
  return added;
}

void ContextCore::wake(SessionBase& session) {
  if (std::exchange(session.queued_to_flush, true)) return;
  dirty_.push_back(&session);
}

void ContextCore::retire(SessionBase& session) {
  --live_;
  retired_.push_back(&session);
}

void ContextCore::drain(Timestamp) {
  // By index: an owner that is told may end other sessions.
  for (std::size_t i = 0; i < telling_.size(); ++i) telling_[i]->report();
  telling_.clear();
  for (std::size_t i = 0; i < retired_.size(); ++i) retired_[i]->report();
  std::vector<SessionBase*> gone;
  gone.swap(retired_);
  for (SessionBase* session : gone) destroy(*session);
}

void ContextCore::destroy(SessionBase& session) {
  if (session.in_front != nullptr) destroy(*session.in_front);
  if (session.queued_to_flush) std::erase(dirty_, &session);
  const std::size_t index = session.index;
  TERN_CHECK(sessions_[index].get() == &session);
  sessions_[index].swap(sessions_.back());
  sessions_[index]->index = index;
  sessions_.pop_back();
}

void ContextCore::flush(Timestamp) {
  flushing_.swap(dirty_);
  for (SessionBase* session : flushing_) {
    session->queued_to_flush = false;
    session->flush();
  }
  flushing_.clear();
}

// ---- Context ------------------------------------------------------------------------------------

class Context::Impl final : public ContextCore {
 public:
  using ContextCore::ContextCore;
};

Context::Context(Runtime& runtime, SessionOptions options, http::ServerHooks hooks)
    : impl_(std::make_unique<Impl>(runtime, std::move(options), std::move(hooks))) {}

Context::~Context() = default;

Session& Context::accept(std::unique_ptr<tcp::Stream> stream, Protocol protocol) {
  TERN_CHECK(impl_->hooks().handler != nullptr);
  switch (protocol) {
    case Protocol::http1:
      return impl_->add(make_http1_session(*impl_, std::move(stream), true, ClientHooks()));
    case Protocol::http2:
      return impl_->add(make_http2_session(*impl_, std::move(stream), true, ClientHooks()));
    case Protocol::sniffed:
      return impl_->add(std::make_unique<SniffedSession>(*impl_, std::move(stream)));
  }
  TERN_CHECK(false);
}

Session& Context::connect(std::unique_ptr<tcp::Stream> stream, Protocol protocol,
                          ClientHooks hooks) {
  TERN_CHECK(protocol != Protocol::sniffed);
  const auto make = protocol == Protocol::http1 ? make_http1_session : make_http2_session;
  return impl_->add(make(*impl_, std::move(stream), false, std::move(hooks)));
}

void Context::drain_all(bool unused) {
  impl_->each([unused](SessionBase& session) {
    if (session.over() || session.hidden()) return;
    if (unused || session.total_requests() > 0) session.drain();
  });
}

void Context::close_all() {
  impl_->each([](SessionBase& session) {
    if (!session.over() && !session.hidden()) session.close();
  });
}

std::size_t Context::sessions() const noexcept { return impl_->live(); }

const SessionOptions& Context::options() const noexcept { return impl_->options(); }

}  // namespace tern::fallback
