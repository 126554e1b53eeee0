#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "http/message.h"
#include "http3/field_line.h"
#include "http3/settings.h"
#include "transport/quic/connection.h"

namespace tern::http3 {

/// Writes a session's events into its connection's qlog (draft-ietf-quic-qlog-h3-events-13). Call
/// nothing but `on()` where there is none: that costs a load and a branch.
class Http3Qlog {
 public:
  Http3Qlog(Runtime& runtime, quic::Connection& connection) noexcept
      : runtime_(runtime), writer_(connection.qlog()) {}

  bool on() const noexcept { return writer_ != nullptr; }

  void parameters_set(bool local, const Settings& settings);
  void parameters_restored(const Settings& settings);
  void stream_type_set(bool local, quic::StreamId stream, std::uint64_t type);
  void request_stream(bool local, quic::StreamId stream);

  // Frames: `created` by us, else parsed.
  void settings_frame(bool created, quic::StreamId stream, std::span<const Setting> entries);
  void data_frame(bool created, quic::StreamId stream, std::uint64_t length);
  void goaway_frame(bool created, quic::StreamId stream, std::uint64_t id);
  void priority_update_frame(bool created, quic::StreamId control, std::uint64_t element,
                             std::string_view value);
  void other_frame(quic::StreamId stream, std::uint64_t type, std::uint64_t length);
  void headers_created(quic::StreamId stream, std::span<const FieldLine> lines);
  /// A section that is being read: its lines one by one, then its end.
  void header_parsed(std::string_view name, std::string_view value);
  void headers_parsed(quic::StreamId stream);

  void priority_updated(quic::StreamId stream, http::Priority priority, bool by_client);
  void datagram(bool created, quic::StreamId stream, std::size_t size);

 private:
  void write(std::string_view name, std::string_view data);
  void frame(bool created, quic::StreamId stream, std::string_view frame);

  Runtime& runtime_;
  quic::QlogWriter* writer_;
  std::string section_;  // lines parsed so far
};

}  // namespace tern::http3
