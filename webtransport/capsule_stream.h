#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/fifo.h"
#include "webtransport/stream.h"

namespace tern::webtransport {

class CapsuleSession;

/// A stream of a `CapsuleSession`, which owns it. It exists until the application has let go of its
/// `Stream` and both sides have ended.
class CapsuleStream final : public StreamCarrier {
 public:
  /// `max_receive`: what the peer may send at first, and `known` what it knows of that; `window`:
  /// later, of what was not read.
  CapsuleStream(CapsuleSession& session, std::uint64_t id, bool sends, bool receives,
                std::uint64_t max_send, std::uint64_t max_receive, std::uint64_t known,
                std::uint64_t window) noexcept
      : session_(session),
        id_(id),
        send_over_(!sends),
        receive_over_(!receives),
        max_send_(max_send),
        max_receive_(max_receive),
        known_(known),
        window_(window) {}

  std::uint64_t id() const noexcept { return id_; }
  void attach(Stream& stream) noexcept { stream_ = &stream; }
  Stream* stream() const noexcept { return stream_; }

  // ---- of StreamCarrier
  void send(Bytes bytes, bool end) override;
  std::size_t unsent() const noexcept override { return unsent_; }
  void consumed(std::size_t count) override;
  void reset(ApplicationCode code) override;
  void stop_sending(ApplicationCode code) override;
  void detach() noexcept override;

  // ---- what comes; the session has checked what needs more than this stream
  bool receive_over() const noexcept { return receive_over_; }
  std::uint64_t received() const noexcept { return received_; }
  /// `count` more bytes would fit into the window.
  bool fits(std::uint64_t count) const noexcept { return count <= max_receive_ - received_; }
  void on_data(Bytes bytes, bool fin);
  void on_reset(ApplicationCode code);
  /// The peer's WT_STOP_SENDING has come: it has no more to say of what we send (§6.3, §6.6).
  bool stopped() const noexcept { return stopped_; }
  void on_stop_sending(ApplicationCode code);
  /// False: less than before.
  bool on_max_data(std::uint64_t limit);

  // ---- what goes
  /// A capsule about the stream itself; nothing when none is due.
  std::optional<Bytes> control();
  /// At most `credit` bytes of data, and their capsule's header in front, as two pieces.
  struct Data {
    Bytes header;
    Bytes body;
  };
  std::optional<Data> data(std::uint64_t credit);
  /// There is something `data` would give with enough credit of the session.
  bool has_data() const noexcept;
  /// It waits for the session's credit alone.
  bool wants_credit() const noexcept { return unsent_ > 0 && sent_ < max_send_; }

  /// Whether it stands in the session's lists.
  bool in_control = false;
  bool in_ready = false;

 private:
  void end_receiving();
  void leave_if_over();

  CapsuleSession& session_;
  std::uint64_t id_;
  Stream* stream_ = nullptr;

  Fifo<Bytes> queue_;
  std::size_t unsent_ = 0;
  bool fin_queued_ = false;
  bool send_over_;
  bool receive_over_;
  std::optional<ApplicationCode> reset_due_;
  std::optional<ApplicationCode> stop_due_;
  bool stop_asked_ = false;  // by us: nothing is said of the stream's window from then on
  bool stopped_ = false;     // by the peer
  bool max_due_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t max_send_;
  std::uint64_t blocked_at_ = UINT64_MAX;  // the limit the peer was told to be in our way
  bool blocked_due_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint64_t max_receive_;
  std::uint64_t known_;  // of it, to the peer
  std::uint64_t window_;
};

}  // namespace tern::webtransport
