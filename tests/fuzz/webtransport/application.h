#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/scope.h"
#include "webtransport/session.h"

/// What an application does with a session of whose peer nothing is known; either side's.

namespace tern::webtransport::fuzz {

/// Of the input's first byte.
enum Mode : std::uint8_t {
  kFlow = 0x01,       // the peer announces flow control
  kTight = 0x02,      // … and allows 100 bytes and one stream of each kind
  kDrops = 0x04,      // the application lets go of streams instead of echoing them
  kOpens = 0x08,      // it opens streams of its own, and resets every other one
  kDatagrams = 0x10,  // it echoes datagrams, or does not take them
  kCloses = 0x20,     // it closes the session when it has seen a stream
  kHolds = 0x40,      // it reads nothing, and asks the peer to end
  kReturns = 0x80,    // it returns at once
};

inline Task<void> echo(std::unique_ptr<Stream> stream) {
  for (;;) {
    Result<Bytes> piece = co_await stream->read();
    if (!piece) co_return;
    if (piece->empty()) break;
    if (!stream->sends()) continue;
    const Result<void> written = co_await stream->write(std::move(*piece));
    if (!written) stream->stop_sending(3);
  }
  if (stream->sends()) co_await stream->finish();
}

inline Task<void> accept(Session& session, Direction direction, std::uint8_t mode, Scope& scope) {
  std::vector<std::unique_ptr<Stream>> held;
  for (;;) {
    std::unique_ptr<Stream> stream;
    if (direction == Direction::bidirectional) {
      stream = co_await session.accept_bidirectional();
    } else {
      stream = co_await session.accept_unidirectional();
    }
    if (stream == nullptr) co_return;
    if ((mode & kCloses) != 0) session.close(7, "seen");
    if ((mode & kHolds) != 0) {
      held.push_back(std::move(stream));
    } else if ((mode & kDrops) == 0) {
      scope.spawn(echo(std::move(stream)));
    }
  }
}

inline Task<void> open(Session& session, Direction direction, Scope& scope) {
  for (int i = 0; i < 6; ++i) {
    Result<std::unique_ptr<Stream>> opened;
    if (direction == Direction::bidirectional) {
      opened = co_await session.open_bidirectional();
    } else {
      opened = co_await session.open_unidirectional();
    }
    if (!opened) co_return;
    std::unique_ptr<Stream> stream = std::move(*opened);
    const Result<void> written = co_await stream->write(Bytes::copy(std::string(3000, 'o')));
    if (written && i % 2 == 1) stream->reset(9);
    if (stream->receives()) {
      scope.spawn(echo(std::move(stream)));
    } else if (i % 2 == 0) {
      co_await stream->finish();
    }
  }
}

inline Task<void> answer_datagrams(Session& session) {
  for (;;) {
    std::optional<Bytes> datagram = co_await session.receive_datagram();
    if (!datagram) co_return;
    session.send_datagram(std::move(*datagram));
  }
}

inline Task<void> attend(Session& session, std::uint8_t mode) {
  if ((mode & kReturns) != 0) co_return;
  Scope scope(session.runtime().ready());
  scope.spawn(accept(session, Direction::bidirectional, mode, scope));
  scope.spawn(accept(session, Direction::unidirectional, mode, scope));
  if ((mode & kOpens) != 0) {
    scope.spawn(open(session, Direction::bidirectional, scope));
    scope.spawn(open(session, Direction::unidirectional, scope));
  }
  if ((mode & kDatagrams) != 0) scope.spawn(answer_datagrams(session));
  if ((mode & kHolds) != 0) session.drain();
  co_await session.wait_until_ended();
}

}  // namespace tern::webtransport::fuzz
