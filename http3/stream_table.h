#pragma once

#include "http/stream_table.h"
#include "http3/request_stream.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// A session's request streams; identifiers of one kind count up in fours.
using StreamTable = http::StreamTable<RequestStream, quic::StreamId, 2>;

}  // namespace tern::http3
