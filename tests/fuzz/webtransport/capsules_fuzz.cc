// A capsule session and a peer that says anything: however its bytes are cut the same comes of it,
// and what is answered is capsules. Input: a byte that chooses the side and
// the piece, then the peer's bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/scope.h"
#include "tests/unit/webtransport/capsule_rig.h"
#include "webtransport/capsule_reader.h"

namespace {

using tern::Bytes;
using tern::ByteView;
using tern::Task;
namespace webtransport = tern::webtransport;
using webtransport::test::Alone;

Task<void> read(std::unique_ptr<webtransport::Stream> stream, std::string& log) {
  std::string text;
  for (;;) {
    auto piece = co_await stream->read();
    if (!piece) {
      log += "stream " + std::to_string(stream->id()) + " failed\n";
      co_return;
    }
    if (piece->empty()) break;
    text += piece->text();
  }
  log += "stream " + std::to_string(stream->id()) + " \"" + text + "\"\n";
  if (stream->sends()) {
    co_await stream->finish(Bytes::take(std::move(text)));
  }
}

Task<void> accept(webtransport::Session& session, webtransport::Direction direction,
                  tern::Scope& scope, std::string& log) {
  for (;;) {
    std::unique_ptr<webtransport::Stream> stream;
    if (direction == webtransport::Direction::bidirectional) {
      stream = co_await session.accept_bidirectional();
    } else {
      stream = co_await session.accept_unidirectional();
    }
    if (stream == nullptr) co_return;
    scope.spawn(read(std::move(stream), log));
  }
}

/// What came of the session, in words.
std::string run(ByteView input, bool server, std::size_t piece) {
  // So much that nothing depends on when the peer was allowed more.
  const auto granted = webtransport::test::windows(1 << 20, 1 << 20, 256);
  Alone alone(server ? webtransport::CapsuleSession::Role::server
                     : webtransport::CapsuleSession::Role::client,
              granted);
  std::string streams;
  alone.scope.spawn(
      accept(alone.session, webtransport::Direction::bidirectional, alone.scope, streams));
  alone.scope.spawn(
      accept(alone.session, webtransport::Direction::unidirectional, alone.scope, streams));
  std::string said;
  do {
    const std::size_t size = std::min(piece, input.size());
    alone.hear(tern::as_text(input.first(size)));
    input = input.subspan(size);
    said += alone.said();
  } while (!input.empty());
  TERN_CHECK(alone.end->capsules.streams() <= 4 * 256);
  webtransport::CapsuleReader reader(64 * 1024);
  reader.feed(tern::as_bytes(said));
  while (const auto event = reader.next()) {
    TERN_CHECK(event->type != webtransport::CapsuleReader::Event::Type::malformed);
  }
  TERN_CHECK(reader.at_boundary());
  std::string end = alone.violation();
  if (const auto& close = alone.session.closed()) {
    end += " closed " + std::to_string(close->code) + " " + close->reason;
  }
  const auto stats = alone.session.stats();
  return end + " " + std::to_string(stats.streams_accepted) + " " +
         std::to_string(stats.datagrams_received) + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Shorter than what 128 streams take, after which there would be leave for more.
  if (size < 1 || size > 800) return 0;
  const bool server = (data[0] & 1) != 0;
  const std::size_t piece = 1 + data[0] / 2;
  const ByteView input(data + 1, size - 1);
  TERN_CHECK(run(input, server, piece) == run(input, server, SIZE_MAX));
  return 0;
}
