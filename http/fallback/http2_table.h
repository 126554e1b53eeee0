#pragma once

#include "http/fallback/http2_stream.h"
#include "http/stream_table.h"

namespace tern::fallback {

/// A session's streams. Indexed are those that nghttp2 has not closed; one side's identifiers count
/// up in twos.
using Http2Table = http::StreamTable<Http2Stream, Http2StreamId, 1>;

}  // namespace tern::fallback
