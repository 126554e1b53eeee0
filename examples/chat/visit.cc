#include "examples/chat/visit.h"

#include <string>
#include <utility>

#include "base/scope.h"
#include "examples/chat/text.h"

namespace tern::chat {

namespace {

using webtransport::Session;
using webtransport::Stream;

class Visitor final : public Guest {
 public:
  explicit Visitor(Session& session) noexcept : session_(session) {}

  void datagram(Bytes line) override { session_.send_datagram(std::move(line)); }
  void dismiss(Dismissal why) override {
    if (why == Dismissal::too_slow) {
      session_.close(kTooSlow, "you do not keep up");
    } else {
      session_.close(kFlooding, "too much, too fast");
    }
  }

 private:
  Session& session_;
};

Task<void> speak(Session& session, Seat& seat) {
  const Result<std::unique_ptr<Stream>> stream = co_await session.open_unidirectional();
  if (!stream) co_return;
  for (;;) {
    std::optional<Bytes> line = seat.next();
    if (!line) {
      co_await seat.changed().wait();
      continue;
    }
    const Result<void> written = co_await (*stream)->write(std::move(*line));
    if (!written) co_return;
  }
}

Task<void> hear(std::unique_ptr<Stream> stream, Seat& seat) {
  // A little more than a message, for "/name " before a long one.
  const Result<std::string> text = co_await stream->read_all(kMaxText + 64);
  if (text) {
    seat.say(*text);
  } else if (text.error().is(Code::limit)) {
    seat.refuse("A message is UTF-8 of up to 2000 bytes: that was not sent.");
  }
}

Task<void> hear_all(Session& session, Seat& seat, Scope& scope) {
  while (auto stream = co_await session.accept_unidirectional()) {
    scope.spawn(hear(std::move(stream), seat));
  }
}

/// There is nothing to be said on these.
Task<void> refuse_bidirectional(Session& session) {
  for (;;) {
    const std::unique_ptr<Stream> stream = co_await session.accept_bidirectional();
    if (stream == nullptr) break;
  }
}

Task<void> notice_typing(Session& session, Seat& seat) {
  for (;;) {
    const std::optional<Bytes> datagram = co_await session.receive_datagram();
    if (!datagram) break;
    seat.typing();
  }
}

}  // namespace

Task<void> visit(std::shared_ptr<Room> room, Session& session) {
  Runtime& runtime = session.runtime();
  Visitor visitor(session);
  auto joined = room->join(runtime, session.carrier(), visitor);
  if (!joined) {
    session.close(kRoomFull, joined.error().detail);
    co_return;
  }
  Seat& seat = **joined;
  Scope scope(runtime.ready());
  scope.spawn(speak(session, seat));
  scope.spawn(hear_all(session, seat, scope));
  scope.spawn(refuse_bidirectional(session));
  scope.spawn(notice_typing(session, seat));
  co_await session.wait_until_draining();
}

}  // namespace tern::chat
