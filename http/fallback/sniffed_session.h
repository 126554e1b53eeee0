#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/fallback/session_base.h"

namespace tern::fallback {

/// Internal to http/fallback: a server's session on bare TCP that finds out by the first bytes
/// whether they are HTTP/2's preface (RFC 9113 §3.4), and is that protocol's session from then on.
class SniffedSession final : public SessionBase {
 public:
  SniffedSession(ContextCore& core, std::unique_ptr<tcp::Stream> stream);

  std::string_view protocol() const noexcept override;
  Result<std::unique_ptr<http::ClientExchange>> open() override;
  bool accepts_requests() const noexcept override { return false; }
  std::size_t requests() const noexcept override;
  std::uint64_t total_requests() const noexcept override;
  void drain() override;
  bool draining() const noexcept override;
  void close() override;
  const tcp::Stream& stream() const noexcept override;
  bool hidden() const noexcept override { return inner_ != nullptr; }

 private:
  void on_start() override;
  void on_bytes(MutableBytes bytes) override;
  void on_end_of_stream() override;
  bool produce() override { return true; }
  void on_over(const Error&) noexcept override {}
  Timestamp check_times(Timestamp now) override;
  void grow_old() override {}  // nothing was said yet: see `options().idle_timeout`

  SessionBase* inner_ = nullptr;
  std::string first_;  // bytes that are a part of the preface
  Timestamp since_{};
};

}  // namespace tern::fallback
