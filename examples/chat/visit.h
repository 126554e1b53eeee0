#pragma once

#include <memory>

#include "base/task.h"
#include "examples/chat/room.h"
#include "webtransport/error_code.h"
#include "webtransport/session.h"

namespace tern::chat {

/// Codes that the room closes sessions with.
inline constexpr webtransport::ApplicationCode kTooSlow = 1;
inline constexpr webtransport::ApplicationCode kFlooding = 2;
inline constexpr webtransport::ApplicationCode kRoomFull = 3;

/// One session in the room, on whatever carrier, until it ends or the server goes away:
///
///   a unidirectional stream of theirs   one message, or "/name NAME" (UTF-8)
///   a datagram of theirs                they are typing
///   the one stream of ours              lines of JSON, from "welcome" on
///   a datagram of ours                  {"type":"typing","id":N}
///
/// Who does not read is sent away with `kTooSlow` rather than buffered for: beyond what the stream
/// holds, at most `Seat::kMaxWaiting` bytes.
Task<void> visit(std::shared_ptr<Room> room, webtransport::Session& session);

}  // namespace tern::chat
