#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "transport/udp/address.h"
#include "webtransport/session.h"
#include "webtransport/stream.h"

namespace tern::webtransport {

/// Bytes of the reason in WT_CLOSE_SESSION (draft-ietf-webtrans-http3-16 §6).
constexpr std::size_t kMaxReason = 1024;

/// What carries a session: the lower half of `Session`, which owns it. None of these calls
/// re-enters the session, except that `close` reports the end.
class SessionCarrier {
 public:
  virtual ~SessionCarrier() = default;

  /// Before anything else; events may follow at once.
  virtual void attach(Session& session) = 0;

  /// "h3", "h2" or "websocket".
  virtual std::string_view name() const noexcept = 0;
  virtual std::string_view protocol() const noexcept = 0;
  virtual udp::Path path() const noexcept = 0;
  virtual bool datagrams_are_reliable() const noexcept = 0;

  /// The peer allows one more stream.
  virtual bool may_open(Direction direction) const noexcept = 0;
  /// Only after `may_open`.
  virtual std::unique_ptr<Stream> open(Direction direction) = 0;

  virtual bool send_datagram(Bytes payload) = 0;
  virtual std::size_t max_datagram() const noexcept = 0;

  virtual void drain() = 0;
  /// `reason` fits. Reports `Session::on_closed`.
  virtual void close(ApplicationCode code, std::string_view reason) = 0;
  /// All that is ours to say was handed over: the session's owner may go.
  virtual bool gone() const noexcept = 0;
  virtual void measure(SessionStats& stats) const = 0;
  virtual Result<void> export_keying_material(std::string_view label, ByteView context,
                                              MutableBytes out) const = 0;
  /// Another number than before whenever bytes of a stream have come or gone meanwhile.
  virtual std::uint64_t progress() const noexcept = 0;
};

}  // namespace tern::webtransport
