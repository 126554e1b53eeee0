// A capsule session, either side, and a peer that says anything. However its bytes are cut the same
// comes of it; what is answered is capsules, and no more data in them than the peer allows. The
// application reads everything, echoes, and sends on two streams of its own.
// Input: a byte that chooses the side and the piece, then the peer's bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/scope.h"
#include "tests/unit/webtransport/capsule_rig.h"
#include "webtransport/capsule_reader.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_values.h"

namespace {

using tern::Bytes;
using tern::ByteView;
using tern::Result;
using tern::Task;
namespace webtransport = tern::webtransport;
using webtransport::CapsuleReader;
using webtransport::test::Alone;

/// What the peer allows before any capsule.
constexpr std::uint64_t kData = 1000;
constexpr std::uint64_t kStreamData = 400;

Task<void> read(std::unique_ptr<webtransport::Stream> stream) {
  std::string text;
  for (;;) {
    auto piece = co_await stream->read();
    if (!piece) co_return;
    if (piece->empty()) break;
    text += piece->text();
  }
  if (stream->sends() && !stream->finished()) co_await stream->finish(Bytes::take(std::move(text)));
}

Task<void> accept(webtransport::Session& session, webtransport::Direction direction,
                  tern::Scope& scope) {
  for (;;) {
    std::unique_ptr<webtransport::Stream> stream;
    if (direction == webtransport::Direction::bidirectional) {
      stream = co_await session.accept_bidirectional();
    } else {
      stream = co_await session.accept_unidirectional();
    }
    if (stream == nullptr) co_return;
    scope.spawn(read(std::move(stream)));
  }
}

/// More than the peer allows on a stream, and both of them more than it allows in all.
Task<void> open(webtransport::Session& session, webtransport::Direction direction) {
  Result<std::unique_ptr<webtransport::Stream>> stream;
  if (direction == webtransport::Direction::bidirectional) {
    stream = co_await session.open_bidirectional();
  } else {
    stream = co_await session.open_unidirectional();
  }
  if (!stream) co_return;
  co_await (*stream)->finish(Bytes::take(std::string(900, 'o')));
  if ((*stream)->receives()) co_await read(std::move(*stream));
}

/// The most that the peer has allowed, if every limit it ever said was taken.
struct Limits {
  std::uint64_t data = kData;
  std::map<std::uint64_t, std::uint64_t> stream_data;
};

Limits limits_in(ByteView input) {
  namespace type = webtransport::capsule_type;
  Limits limits;
  CapsuleReader reader(64 * 1024);
  reader.feed(input);
  while (const auto event = reader.next()) {
    if (event->type != CapsuleReader::Event::Type::capsule) continue;
    if (event->id == type::kMaxData) {
      const auto values = webtransport::read_values<1>(event->bytes);
      if (values) limits.data = std::max(limits.data, (*values)[0]);
    } else if (event->id == type::kMaxStreamData) {
      const auto values = webtransport::read_values<2>(event->bytes);
      if (!values) continue;
      std::uint64_t& limit = limits.stream_data[(*values)[0]];
      limit = std::max(limit, (*values)[1]);
    }
  }
  return limits;
}

void check_said(ByteView said, const Limits& limits) {
  std::uint64_t data = 0;
  std::map<std::uint64_t, std::uint64_t> stream_data;
  CapsuleReader reader(64 * 1024);
  reader.feed(said);
  while (const auto event = reader.next()) {
    TERN_CHECK(event->type != CapsuleReader::Event::Type::malformed);
    if (event->type != CapsuleReader::Event::Type::stream_data) continue;
    data += event->bytes.size();
    stream_data[event->id] += event->bytes.size();
  }
  TERN_CHECK(reader.at_boundary());
  TERN_CHECK(data <= limits.data);
  for (const auto& [id, sent] : stream_data) {
    const auto raised = limits.stream_data.find(id);
    const std::uint64_t limit = raised == limits.stream_data.end() ? 0 : raised->second;
    TERN_CHECK(sent <= std::max(limit, kStreamData));
  }
}

/// When the application and our answers have their turn.
enum class Turns : std::uint8_t { at_each_piece, at_the_end };

/// What came of the session, in words.
std::string run(ByteView input, bool server, std::size_t piece, Turns turns) {
  // So much that nothing depends on when the peer was allowed more.
  const auto granted = webtransport::test::windows(1 << 20, 1 << 20, 256);
  Alone alone(server ? webtransport::CapsuleSession::Role::server
                     : webtransport::CapsuleSession::Role::client,
              granted, webtransport::test::windows(kData, kStreamData));
  using webtransport::Direction;
  for (const Direction direction : {Direction::bidirectional, Direction::unidirectional}) {
    alone.scope.spawn(accept(alone.session, direction, alone.scope));
    alone.scope.spawn(open(alone.session, direction));
  }
  std::string said = alone.said();
  const Limits limits = limits_in(input);
  do {
    const std::size_t size = std::min(piece, input.size());
    alone.end->capsules.feed(Bytes::copy(input.first(size)));
    input = input.subspan(size);
    if (turns == Turns::at_each_piece) said += alone.said();
  } while (!input.empty());
  said += alone.said();
  TERN_CHECK(alone.end->capsules.streams() <= 4 * 256);
  check_said(tern::as_bytes(said), limits);
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
  const std::string whole = run(input, server, SIZE_MAX, Turns::at_the_end);
  TERN_CHECK(run(input, server, piece, Turns::at_the_end) == whole);
  // With turns in between the application may be done with a stream before the peer breaks a rule
  // about it, which is not known any more then.
  const std::string apart = run(input, server, piece, Turns::at_each_piece);
  TERN_CHECK(apart == whole || !whole.starts_with("none"));
  return 0;
}
