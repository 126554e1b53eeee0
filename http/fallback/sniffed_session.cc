#include "http/fallback/sniffed_session.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "http/fallback/http1_session.h"
#include "http/fallback/http2_session.h"

namespace tern::fallback {

namespace {
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
}

SniffedSession::SniffedSession(ContextCore& core, std::unique_ptr<tcp::Stream> stream)
    : SessionBase(core, core.http1(), std::move(stream), true, ClientHooks()) {}

std::string_view SniffedSession::protocol() const noexcept {
  return inner_ != nullptr ? inner_->protocol() : "http/1.1";
}

Result<std::unique_ptr<http::ClientExchange>> SniffedSession::open() {
  return fail(Error(Code::rejected, "a server's session opens no requests"));
}

std::size_t SniffedSession::requests() const noexcept {
  return inner_ != nullptr ? inner_->requests() : 0;
}

std::uint64_t SniffedSession::total_requests() const noexcept {
  return inner_ != nullptr ? inner_->total_requests() : 0;
}

void SniffedSession::drain() {
  if (inner_ != nullptr) {
    inner_->drain();
  } else {
    end_when_sent(Error::closed("drained"));
  }
}

bool SniffedSession::draining() const noexcept {
  return inner_ != nullptr ? inner_->draining() : ending();
}

void SniffedSession::close() {
  if (inner_ != nullptr) {
    inner_->close();
  } else {
    end_when_sent(Error::closed("closed"));
  }
}

const tcp::Stream& SniffedSession::stream() const noexcept {
  return inner_ != nullptr ? inner_->stream() : SessionBase::stream();
}

void SniffedSession::on_start() {
  since_ = now();
  // A connection may be opened in advance and wait; what counts is the time from the first byte.
  watch(since_ + options().idle_timeout);
}

void SniffedSession::on_bytes(MutableBytes bytes) {
  if (inner_ != nullptr) return;
  const std::string_view text = as_text(bytes);
  const std::size_t looked_at = std::min(text.size(), kPreface.size() - first_.size());
  const bool is_preface = text.substr(0, looked_at) == kPreface.substr(first_.size(), looked_at);
  if (is_preface && first_.size() + looked_at < kPreface.size()) {
    if (first_.empty()) {
      since_ = now();
      watch(since_ + options().head_timeout);
    }
    first_ += text;
    return;
  }
  const auto make = is_preface ? make_http2_session : make_http1_session;
  auto made = make(core(), release_stream(), true, ClientHooks());
  inner_ = made.get();
  inner_->in_front = this;
  core().add(std::move(made));
  if (!first_.empty()) {
    inner_->feed(MutableBytes(reinterpret_cast<std::uint8_t*>(first_.data()), first_.size()));
  }
  inner_->feed(bytes);
}

void SniffedSession::on_end_of_stream() { end_when_sent(Error::closed("the client has left")); }

Timestamp SniffedSession::check_times(Timestamp now) {
  if (inner_ != nullptr) return kNever;
  const Duration limit = first_.empty() ? options().idle_timeout : options().head_timeout;
  if (now - since_ < limit) return since_ + limit;
  counts().timeouts.add();
  end_when_sent(Error(Code::timed_out, "the client says nothing"));
  return kNever;
}

}  // namespace tern::fallback
