#include <algorithm>
#include <ostream>

#include "tests/unit/fallback/http2_rig.h"
#include "tests/unit/fallback/http2_rule_lines.h"

/// RFC 9113's error cases, and RFC 9218's: what a client may not send, with the error that the RFC
/// names. Each runs whole, and cut at every byte.
///
/// RFC 9113 §5.4.1 lets an endpoint treat a stream error as one of the connection. nghttp2 does so
/// where a peer that keeps to the protocol cannot get into the situation; such rows say `stricter`.

namespace tern::fallback::testing {
namespace {

enum class Ends { connection, stream, nothing };

struct Case {
  const char* name;
  const char* section;  ///< of RFC 9113 unless it says otherwise
  std::string bytes;    ///< after preface and SETTINGS
  Ends ends = Ends::connection;
  Http2Code code = Http2Code::protocol_error;
  bool stricter = false;
  std::string later = {};  ///< comes when `bytes` have been answered
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

Pairs without(const Pairs& lines, std::string_view name) {
  Pairs kept;
  for (const auto& line : lines) {
    if (line.first != name) kept.push_back(line);
  }
  return kept;
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::vector<Case> cases() {
  using enum Http2Code;
  constexpr auto kConnection = Ends::connection;
  constexpr auto kStream = Ends::stream;
  constexpr auto kNothing = Ends::nothing;
  const std::string four(4, '\0');
  const std::string zero(1, '\0');
  const auto behind = [](const std::string& rest) {
    return frame(kFrameHeaders, 0x5, 1, block(request()) + rest);
  };
  const std::string long_frame(16385, 'x');
  const std::string bad_post =
      headers(1, plus(request("POST", "/wait"), {{"connection", "close"}}), false);
  std::vector<Case> all{
      // ---- frames (§4)
      {"data_of_the_largest_size", "4.2", post(1, "/wait") + data(1, long_frame.substr(1)),
       kNothing},
      {"data_too_long", "4.2", post(1, "/wait") + data(1, long_frame), kConnection,
       frame_size_error},
      {"headers_too_long", "4.2", frame(kFrameHeaders, 0x5, 1, long_frame), kConnection,
       frame_size_error},
      {"unknown_too_long", "4.2", frame(0x42, 0, 0, long_frame), kConnection, frame_size_error},
      {"unknown_frame", "4.1", frame(0x42, 0xff, 0, "x"), kNothing},
      {"unknown_frame_on_stream", "4.1", post(1, "/wait") + frame(0x42, 0xff, 1, "x"), kNothing},
      {"unknown_flags", "4.1", frame(kFramePing, 0xfe, 0, "12345678"), kNothing},
      {"reserved_bit", "4.1", frame(kFramePing, 0, 0x8000'0000, "12345678"), kNothing},
      {"section_interrupted", "4.3", frame(kFrameHeaders, 0x1, 1, block(request())) + ping(),
       kConnection},
      {"section_interrupted_by_headers", "4.3",
       frame(kFrameHeaders, 0x1, 1, block(request())) + get(3), kConnection},
      {"section_interrupted_by_unknown", "4.3",
       frame(kFrameHeaders, 0x1, 1, block(request())) + frame(0x42, 0, 0, "x"), kConnection},
      {"section_interrupted_by_priority", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) + frame(kFramePriority, 0, 1, four + "\x10"),
       kConnection},
      {"section_interrupted_by_data", "6.2",
       frame(kFrameHeaders, 0x0, 1, block(request())) + data(1, "x"), kConnection},
      {"section_interrupted_by_window_update", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) + window_update(0, 1), kConnection},
      {"section_interrupted_by_rst", "6.2", frame(kFrameHeaders, 0x1, 1, block(request())) + rst(1),
       kConnection},
      {"section_interrupted_by_settings", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) + settings(), kConnection},
      {"section_interrupted_by_push_promise", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) +
           frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request())),
       kConnection},
      {"section_interrupted_by_goaway", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) + goaway(0, no_error), kConnection},
      {"section_interrupted_by_priority_update", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(request())) +
           frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1"),
       kConnection},
      {"section_interrupted_in_trailers", "6.2",
       post(1, "/wait") + frame(kFrameHeaders, 0x1, 1, block({{"a", "b"}})) + ping(), kConnection},
      {"section_does_not_decompress", "4.3", frame(kFrameHeaders, 0x5, 1, "\xff\xff\xff\xff\xff"),
       kConnection, compression_error},
      {"index_out_of_table", "4.3", frame(kFrameHeaders, 0x5, 1, "\xfe"), kConnection,
       compression_error},
      {"section_cut", "4.3", frame(kFrameHeaders, 0x5, 1, block(request()) + "\x40\x05"),
       kConnection, compression_error},
      {"table_size_above_ours", "4.3", frame(kFrameHeaders, 0x5, 1, "\x3f\xff\xff\x7f"),
       kConnection, compression_error},

      // ---- HPACK (RFC 7541); each behind a section that is whole
      {"hpack_index_zero", "RFC 7541 6.1", behind("\x80"), kConnection, compression_error},
      {"hpack_name_out_of_table", "RFC 7541 2.3.3", behind("\x7e\x01x"), kConnection,
       compression_error},
      {"hpack_name_out_of_table_unindexed", "RFC 7541 2.3.3", behind("\x0f\x2f\x01x"), kConnection,
       compression_error},
      {"hpack_string_with_end_of_string", "RFC 7541 5.2",
       behind(zero + "\x01"
                     "a\x84\xff\xff\xff\xff"),
       kConnection, compression_error},
      {"hpack_padding_too_long", "RFC 7541 5.2",
       behind(zero + "\x01"
                     "a\x82\x1f\xff"),
       kConnection, compression_error},
      {"hpack_padding_of_zeros", "RFC 7541 5.2",
       behind(zero + "\x01"
                     "a\x81\x18"),
       kConnection, compression_error},
      {"hpack_string_cut", "RFC 7541 5.2",
       behind(zero + "\x01"
                     "a\x7fx"),
       kConnection, compression_error},
      {"hpack_integer_without_end", "RFC 7541 5.1", behind("\xff\x80\x80\x80\x80\x80\x80\x01"),
       kConnection, compression_error},
      {"hpack_size_update_at_the_end", "RFC 7541 4.2", behind("\x20"), kConnection,
       compression_error},
      {"hpack_size_updates_at_the_start", "RFC 7541 4.2",
       frame(kFrameHeaders, 0x5, 1, "\x20\x3f\xe1\x1f" + block(request("GET", "/wait"))), kNothing},

      // ---- states (§5.1)
      {"data_on_idle", "5.1", data(1, "x"), kConnection},
      {"rst_on_idle", "5.1", rst(1), kConnection},
      {"window_update_on_idle", "5.1", window_update(1, 1), kConnection},
      {"continuation_on_idle", "5.1", frame(kFrameContinuation, 0x4, 1, ""), kConnection},
      {"priority_on_idle", "5.1", frame(kFramePriority, 0, 1, four + "\x10"), kNothing},
      {"data_on_half_closed", "5.1", get(1, "/wait") + data(1, "x"), kConnection, stream_closed,
       true},
      {"headers_on_half_closed", "5.1", get(1, "/wait") + headers(1, {{"a", "b"}}), kConnection,
       stream_closed, true},
      {"unknown_on_idle", "5.5", frame(0x42, 0, 1, "x"), kNothing},
      {"push_promise_on_idle", "8.4",
       frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request())), kConnection},
      {"continuation_on_zero_alone", "6.10", frame(kFrameContinuation, 0x4, 0, ""), kConnection},
      {"rst_on_half_closed", "5.1", get(1, "/wait") + rst(1), kNothing},
      {"unknown_on_half_closed", "5.5", get(1, "/wait") + frame(0x42, 0, 1, "x"), kNothing},
      {"data_behind_trailers", "5.1", post(1, "/wait") + headers(1, {{"a", "b"}}) + data(1, "x"),
       kConnection, stream_closed, true},
      {"headers_behind_trailers", "5.1",
       post(1, "/wait") + headers(1, {{"a", "b"}}) + headers(1, {{"a", "b"}}), kConnection,
       stream_closed, true},
      {"priority_on_half_closed", "5.1",
       get(1, "/wait") + frame(kFramePriority, 0, 1, four + "\x10"), kNothing},
      {"window_update_on_half_closed", "5.1", get(1, "/wait") + window_update(1, 1), kNothing},
      {"data_after_rst", "5.1", post(1, "/wait") + rst(1) + data(1, "x"), kConnection,
       stream_closed},
      {"headers_after_rst", "5.1", post(1, "/wait") + rst(1) + headers(1, {{"a", "b"}}),
       kConnection, stream_closed},
      {"window_update_after_rst", "5.1", post(1, "/wait") + rst(1) + window_update(1, 1), kNothing},
      {"rst_after_rst", "5.1", post(1, "/wait") + rst(1) + rst(1), kNothing},
      {"priority_on_closed", "5.1",
       post(1, "/wait") + rst(1) + frame(kFramePriority, 0, 1, four + "\x10"), kNothing},
      {"priority_on_itself", "5.3.1",
       get(1, "/wait") + frame(kFramePriority, 0, 1, number(1, 4) + "\x10"), kNothing},
      {"continuation_after_rst", "5.1",
       post(1, "/wait") + rst(1) + frame(kFrameContinuation, 0x4, 1, block({{"a", "b"}})),
       kConnection},
      {"unknown_after_rst", "5.5", post(1, "/wait") + rst(1) + frame(0x42, 0, 1, "x"), kNothing},
      {"unknown_after_the_answer", "5.5", get(1), kNothing, no_error, false,
       frame(0x42, 0, 1, "x")},
      // What is on its way to a stream that we have reset is nobody's fault.
      {"data_after_our_reset", "5.1", bad_post, kStream, protocol_error, false, data(1, "x")},
      {"end_after_our_reset", "5.1", bad_post, kStream, protocol_error, false, data(1, "x", true)},
      {"trailers_after_our_reset", "5.1", bad_post, kStream, protocol_error, false,
       headers(1, {{"a", "b"}})},
      {"window_update_after_our_reset", "5.1", bad_post, kStream, protocol_error, false,
       window_update(1, 1)},
      {"rst_after_our_reset", "5.1", bad_post, kStream, protocol_error, false, rst(1)},
      {"priority_after_our_reset", "5.1", bad_post, kStream, protocol_error, false,
       frame(kFramePriority, 0, 1, four + "\x10")},
      {"continuation_after_our_reset", "5.1", bad_post, kConnection, protocol_error, false,
       frame(kFrameContinuation, 0x4, 1, block({{"a", "b"}}))},
      {"data_after_the_answer", "5.1", get(1), kConnection, stream_closed, true, data(1, "x")},
      {"headers_after_the_answer", "5.1", get(1), kConnection, stream_closed, false, get(1)},
      {"trailers_after_the_answer", "5.1", get(1), kConnection, stream_closed, false,
       headers(1, {{"a", "b"}})},
      {"continuation_after_the_answer", "5.1", get(1), kConnection, protocol_error, false,
       frame(kFrameContinuation, 0x4, 1, block({{"a", "b"}}))},
      {"window_update_after_the_answer", "5.1", get(1), kNothing, no_error, false,
       window_update(1, 1)},
      {"rst_after_the_answer", "5.1", get(1), kNothing, no_error, false, rst(1)},
      {"priority_after_the_answer", "5.1", get(1), kNothing, no_error, false,
       frame(kFramePriority, 0, 1, four + "\x10")},

      // ---- identifiers (§5.1.1)
      {"even_stream", "5.1.1", get(2), kConnection},
      {"lower_stream", "5.1.1", get(5, "/wait") + get(3), kConnection},
      {"data_on_skipped_stream", "5.1.1", get(5, "/wait") + data(3, "x"), kConnection},

      // ---- DATA (§6.1)
      {"data_on_zero", "6.1", data(0, "x"), kConnection},
      {"data_padding_longer", "6.1", post(1, "/wait") + frame(kFrameData, kFlagPadded, 1, "\x05xx"),
       kConnection},
      {"data_padding_missing", "6.1", post(1, "/wait") + frame(kFrameData, kFlagPadded, 1, ""),
       kConnection},
      {"data_padded", "6.1", post(1, "/wait") + frame(kFrameData, kFlagPadded, 1, "\x02xyy"),
       kNothing},

      // ---- HEADERS (§6.2)
      {"headers_on_zero", "6.2", frame(kFrameHeaders, 0x5, 0, block(request())), kConnection},
      {"headers_padding_longer", "6.2",
       frame(kFrameHeaders, 0x5 | kFlagPadded, 1, "\x7f" + block({{"a", "b"}})), kConnection},
      {"headers_padding_missing", "6.2", frame(kFrameHeaders, 0x5 | kFlagPadded, 1, ""),
       kConnection},
      {"headers_priority_missing", "6.2", frame(kFrameHeaders, 0x5 | kFlagPriority, 1, "\x01\x02"),
       kConnection, frame_size_error},
      {"headers_with_priority", "6.2",
       frame(kFrameHeaders, 0x5 | kFlagPriority, 1, four + "\x10" + block(request())), kNothing},

      // ---- PRIORITY (§6.3)
      {"priority_on_zero", "6.3", frame(kFramePriority, 0, 0, four + "\x10"), kConnection},
      {"priority_size", "6.3", get(1, "/wait") + frame(kFramePriority, 0, 1, "abcd"), kConnection,
       frame_size_error, true},

      // ---- RST_STREAM (§6.4)
      {"rst_on_zero", "6.4", rst(0), kConnection},
      {"rst_size", "6.4", get(1, "/wait") + frame(kFrameRstStream, 0, 1, "abc"), kConnection,
       frame_size_error},
      {"rst_unknown_code", "7", get(1, "/wait") + frame(kFrameRstStream, 0, 1, "\x12\x34\x56\x78"),
       kNothing},

      // ---- SETTINGS (§6.5)
      {"settings_on_stream", "6.5", frame(kFrameSettings, 0, 1), kConnection},
      {"settings_size", "6.5", frame(kFrameSettings, 0, 0, "abcde"), kConnection, frame_size_error},
      {"settings_ack_with_payload", "6.5", frame(kFrameSettings, kFlagAck, 0, setting(3, 1)),
       kConnection, frame_size_error},
      {"settings_push_2", "6.5.2", settings(setting(2, 2)), kConnection},
      {"settings_window_too_large", "6.5.2", settings(setting(4, 0x8000'0000)), kConnection,
       flow_control_error},
      {"settings_frame_too_small", "6.5.2", settings(setting(5, 16383)), kConnection},
      {"settings_frame_too_large", "6.5.2", settings(setting(5, 16777216)), kConnection},
      {"settings_unknown", "6.5.2", settings(setting(0x4242, 1)), kNothing},
      {"settings_connect_2", "RFC 8441 3", settings(setting(8, 2)), kConnection},
      {"settings_no_priorities_2", "RFC 9218 2.1", settings(setting(9, 2)), kConnection},
      {"settings_no_priorities_changed", "RFC 9218 2.1", settings(setting(9, 1)), kConnection},
      {"settings_window_overflows_stream", "6.9.2",
       post(1, "/wait") + window_update(1, 0x7fff'ffff - 65535) + settings(setting(4, 65536)),
       kConnection, flow_control_error},
      {"settings_window_largest", "6.5.2", settings(setting(4, 0x7fff'ffff)), kNothing},
      {"settings_frame_largest", "6.5.2", settings(setting(5, 16777215)), kNothing},
      {"settings_push_off", "6.5.2", settings(setting(2, 0)), kNothing},
      {"settings_empty", "6.5", settings(), kNothing},
      {"settings_the_same_twice", "6.5.3", settings(setting(4, 1) + setting(4, 65535)), kNothing},
      {"settings_ack_unasked", "6.5", settings_ack(), kConnection, protocol_error, true},
      {"settings_many_entries", "10.5", settings(repeated(setting(0x4242, 1), 33)), kConnection,
       enhance_your_calm},

      // ---- PUSH_PROMISE (§6.6)
      {"push_promise_from_client", "8.4",
       post(1, "/wait") +
           frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request())),
       kConnection},
      {"push_promise_on_zero", "6.6",
       frame(kFramePushPromise, kFlagEndHeaders, 0, number(2, 4) + block(request())), kConnection},

      // ---- PING (§6.7)
      {"ping_on_stream", "6.7", get(1, "/wait") + frame(kFramePing, 0, 1, "12345678"), kConnection},
      {"ping_size", "6.7", frame(kFramePing, 0, 0, "1234567"), kConnection, frame_size_error},
      {"ping_ack_unasked", "6.7", ping("12345678", true), kNothing},

      // ---- GOAWAY (§6.8)
      {"goaway_on_stream", "6.8", get(1, "/wait") + frame(kFrameGoaway, 0, 1, four + four),
       kConnection},
      {"goaway_size", "6.8", frame(kFrameGoaway, 0, 0, "abcd"), kConnection, frame_size_error},

      // ---- WINDOW_UPDATE (§6.9)
      {"window_update_size", "6.9", frame(kFrameWindowUpdate, 0, 0, "abc"), kConnection,
       frame_size_error},
      {"window_update_zero", "6.9", window_update(0, 0), kConnection},
      {"window_update_zero_on_stream", "6.9", get(1, "/wait") + window_update(1, 0), kConnection,
       protocol_error, true},
      {"window_reserved_bit", "6.9", window_update(0, 0x8000'0001), kNothing},
      {"window_overflows_in_steps", "6.9.1",
       window_update(0, 0x4000'0000) + window_update(0, 0x4000'0000), kConnection,
       flow_control_error},
      {"stream_window_overflows_in_steps", "6.9.1",
       get(1, "/wait") + window_update(1, 0x4000'0000) + window_update(1, 0x4000'0000), kConnection,
       flow_control_error, true},
      {"window_overflows", "6.9.1", window_update(0, 0x7fff'ffff), kConnection, flow_control_error},
      {"stream_window_overflows", "6.9.1", get(1, "/wait") + window_update(1, 0x7fff'ffff),
       kConnection, flow_control_error, true},

      // ---- CONTINUATION (§6.10)
      {"continuation_alone", "6.10", get(1, "/wait") + frame(kFrameContinuation, 0x4, 1, ""),
       kConnection},
      {"continuation_after_data", "6.10",
       post(1, "/wait") + data(1, "x") + frame(kFrameContinuation, 0x4, 1, ""), kConnection},
      {"continuation_on_other", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(request())) + frame(kFrameContinuation, 0x4, 3, ""),
       kConnection},
      {"continuation_on_zero", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(request())) + frame(kFrameContinuation, 0x4, 0, ""),
       kConnection},
      {"continuations", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(request()).substr(0, 20)) +
           frame(kFrameContinuation, 0, 1, block(request()).substr(20, 5)) +
           frame(kFrameContinuation, 0x4, 1, block(request()).substr(25)),
       kNothing},
      {"continuations_then_data", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(request()).substr(0, 20)) +
           frame(kFrameContinuation, 0, 1, block(request()).substr(20, 5)) + data(1, "x"),
       kConnection},
      {"continuation_behind_the_last", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(request()).substr(0, 20)) +
           frame(kFrameContinuation, 0x4, 1, block(request()).substr(20)) +
           frame(kFrameContinuation, 0x4, 1, block({{"a", "b"}})),
       kConnection},
      {"continuation_flood", "10.5",
       frame(kFrameHeaders, 0x1, 1, block(request())) +
           repeated(frame(kFrameContinuation, 0, 1, block({{"a", "b"}})), 9),
       kConnection, enhance_your_calm},

      // ---- PRIORITY_UPDATE (RFC 9218 §7.1)
      {"priority_update_on_stream", "RFC 9218 7.1",
       get(1, "/wait") + frame(kFramePriorityUpdate, 0, 1, number(1, 4) + "u=1"), kConnection},
      {"priority_update_of_zero", "RFC 9218 7.1", frame(kFramePriorityUpdate, 0, 0, four + "u=1"),
       kConnection},
      {"priority_update_size", "RFC 9218 7.1", frame(kFramePriorityUpdate, 0, 0, "abc"),
       kConnection, frame_size_error},
      {"priority_update_of_push", "RFC 9218 7.1",
       frame(kFramePriorityUpdate, 0, 0, number(2, 4) + "u=1"), kConnection},
      {"priority_update", "RFC 9218 7.1",
       get(1, "/wait") + frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1, i"), kNothing},
      {"priority_update_before", "RFC 9218 7.1",
       frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1, i") + get(1, "/wait"), kNothing},
      {"priority_update_garbage", "RFC 9218 7.1",
       get(1, "/wait") + frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=;;"), kNothing},
  };

  // ---- malformed messages (§8): a stream error each.
  const auto malformed = [&](const char* name, const char* section, const Pairs& lines) {
    all.push_back({name, section, headers(1, lines), kStream, protocol_error});
  };
  const Pairs usual = request();
  malformed("upper_case_name", "8.2.1", plus(usual, {{"Accept", "x"}}));
  malformed("space_in_name", "8.2.1", plus(usual, {{"a b", "x"}}));
  malformed("colon_in_name", "8.2.1", plus(usual, {{"a:b", "x"}}));
  malformed("empty_name", "8.2.1", plus(usual, {{"", "x"}}));
  malformed("nul_in_value", "8.2.1", plus(usual, {{"a", std::string("x\0y", 3)}}));
  malformed("cr_in_value", "8.2.1", plus(usual, {{"a", "x\ry"}}));
  malformed("lf_in_value", "8.2.1", plus(usual, {{"a", "x\ny"}}));
  malformed("control_in_value", "8.2.1", plus(usual, {{"a", "x\x01y"}}));
  malformed("del_in_value", "8.2.1", plus(usual, {{"a", "x\x7f"}}));
  malformed("lf_in_cookie", "8.2.1", plus(usual, {{"cookie", "x\ny"}}));
  malformed("bad_host", "8.3.1", plus(usual, {{"host", "server/x"}}));
  malformed("leading_space", "8.2.1", plus(usual, {{"a", " x"}}));
  malformed("trailing_space", "8.2.1", plus(usual, {{"a", "x "}}));
  malformed("trailing_tab", "8.2.1", plus(usual, {{"a", "x\t"}}));
  malformed("connection", "8.2.2", plus(usual, {{"connection", "close"}}));
  malformed("keep_alive", "8.2.2", plus(usual, {{"keep-alive", "1"}}));
  malformed("proxy_connection", "8.2.2", plus(usual, {{"proxy-connection", "close"}}));
  malformed("transfer_encoding", "8.2.2", plus(usual, {{"transfer-encoding", "chunked"}}));
  malformed("upgrade", "8.2.2", plus(usual, {{"upgrade", "websocket"}}));
  malformed("te_gzip", "8.2.2", plus(usual, {{"te", "gzip"}}));
  malformed("pseudo_after_field", "8.3", plus({{"a", "b"}}, usual));
  malformed("pseudo_after_host", "8.3", plus({{"host", "server"}}, usual));
  malformed("unknown_pseudo", "8.3", plus({{":test", "b"}}, usual));
  malformed("response_pseudo", "8.3", plus(usual, {{":status", "200"}}));
  malformed("no_method", "8.3.1", without(usual, ":method"));
  malformed("no_scheme", "8.3.1", without(usual, ":scheme"));
  malformed("no_path", "8.3.1", without(usual, ":path"));
  malformed("empty_path", "8.3.1", plus(without(usual, ":path"), {{":path", ""}}));
  malformed("two_methods", "8.3.1", plus(usual, {{":method", "GET"}}));
  malformed("two_schemes", "8.3.1", plus(usual, {{":scheme", "https"}}));
  malformed("two_paths", "8.3.1", plus(usual, {{":path", "/"}}));
  malformed("two_authorities", "8.3.1", plus(usual, {{":authority", "server"}}));
  malformed("host_differs", "8.3.1", plus(usual, {{"host", "other"}}));
  malformed("bad_method", "8.3.1", plus(without(usual, ":method"), {{":method", "G T"}}));
  malformed("empty_method", "8.3.1", plus(without(usual, ":method"), {{":method", ""}}));
  malformed("bad_scheme", "8.3.1", plus(without(usual, ":scheme"), {{":scheme", "1 s"}}));
  malformed("relative_path", "8.3.1", request("GET", "x"));
  malformed("space_in_path", "8.3.1", request("GET", "/a b"));
  malformed("asterisk_without_options", "8.3.1", request("GET", "*"));
  malformed("bad_authority", "8.3.1", plus(without(usual, ":authority"), {{":authority", "a/b"}}));
  malformed("user_in_authority", "8.3.1",
            plus(without(usual, ":authority"), {{":authority", "user@server"}}));
  malformed("user_in_host", "8.3.1", plus(without(usual, ":authority"), {{"host", "user@server"}}));
  malformed("no_authority", "8.3.1", without(usual, ":authority"));
  malformed("connect_with_path", "8.5", request("CONNECT"));
  malformed("connect_with_scheme", "8.5",
            {{":method", "CONNECT"}, {":scheme", "https"}, {":authority", "server"}});
  malformed("extended_connect_without_path", "RFC 8441 4",
            plus(without(request("CONNECT"), ":path"), {{":protocol", "websocket"}}));
  malformed("extended_connect_without_scheme", "RFC 8441 4",
            plus(without(request("CONNECT"), ":scheme"), {{":protocol", "websocket"}}));
  malformed("two_protocols", "RFC 8441 4",
            plus(request("CONNECT"), {{":protocol", "websocket"}, {":protocol", "x"}}));
  malformed("connect_without_authority", "8.5", {{":method", "CONNECT"}});
  malformed("connect_with_host", "8.5", {{":method", "CONNECT"}, {"host", "server"}});
  malformed("extended_connect_with_host", "RFC 8441 4",
            plus(without(request("CONNECT"), ":authority"),
                 {{":protocol", "websocket"}, {"host", "server"}}));
  malformed("protocol_without_connect", "RFC 8441 4", plus(usual, {{":protocol", "websocket"}}));
  malformed("length_without_body", "8.1.1", plus(request("POST"), {{"content-length", "5"}}));
  malformed("length_no_number", "8.1.1", plus(request("POST"), {{"content-length", "x"}}));
  malformed("two_lengths", "8.1.1",
            plus(request("POST"), {{"content-length", "0"}, {"content-length", "5"}}));
  const auto stream_case = [&](const char* name, const char* section, std::string bytes) {
    all.push_back({name, section, std::move(bytes), kStream, protocol_error});
  };
  const Pairs five = plus(request("POST", "/wait"), {{"content-length", "5"}});
  stream_case("body_longer", "8.1.1", headers(1, five, false) + data(1, "123456"));
  stream_case("body_shorter", "8.1.1", headers(1, five, false) + data(1, "1234", true));
  stream_case("body_longer_in_frames", "8.1.1",
              headers(1, five, false) + data(1, "123") + data(1, "456"));
  stream_case("body_shorter_in_frames", "8.1.1",
              headers(1, five, false) + data(1, "12") + data(1, "34") + data(1, "", true));
  stream_case("body_shorter_before_trailers", "8.1.1",
              headers(1, five, false) + data(1, "1234") + headers(1, {{"a", "b"}}));
  stream_case("upper_case_in_trailers", "8.2.1",
              post(1, "/wait") + data(1, "x") + headers(1, {{"A", "b"}}));
  stream_case("connection_in_trailers", "8.2.2",
              post(1, "/wait") + data(1, "x") + headers(1, {{"connection", "close"}}));
  stream_case("pseudo_in_trailers", "8.1",
              post(1, "/wait") + data(1, "x") + headers(1, {{":path", "/"}}));
  stream_case("trailers_without_end", "8.1",
              post(1, "/wait") + data(1, "x") + headers(1, {{"a", "b"}}, false));
  all.push_back({"body_in_frames", "8.1.1",
                 headers(1, five, false) + data(1, "123") + data(1, "45", true), kNothing});
  all.push_back({"asterisk_of_options", "8.3.1", headers(1, request("OPTIONS", "*")), kNothing});
  all.push_back({"connect", "8.5", headers(1, {{":method", "CONNECT"}, {":authority", "server:1"}}),
                 kNothing});
  all.push_back({"te_trailers", "8.2.2", headers(1, plus(usual, {{"te", "trailers"}})), kNothing});
  all.push_back({"host_for_authority", "8.3.1",
                 headers(1, plus(without(usual, ":authority"), {{"host", "server"}})), kNothing});
  return all;
}

Task<void> waits_or_answers(http::Exchange& exchange) {
  if (exchange.request().path == "/wait") {
    // Until the connection is over.
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece) co_return;
      if (piece->empty()) co_await exchange.runtime().sleep(1h);
    }
  }
  co_await exchange.respond(http::Status::ok, "fine");
}

std::string line_of(const Case& one) {
  const auto found = rule_lines().find(one.name);
  EXPECT_NE(found, rule_lines().end()) << one.name << " has no line";
  return std::string(name(one.code)) + ": " +
         std::string(found != rule_lines().end() ? found->second : std::string_view());
}

/// Runs one case on a connection of its own; a stream that is fine shares it.
void run(const Case& one, std::size_t piece) {
  Http2Rig rig(waits_or_answers);
  rig.feed(preface(setting(9, 0)) + settings_ack());
  rig.frames();
  rig.feed(one.bytes, piece);
  std::vector<Frame> heard = rig.frames();
  if (!one.later.empty()) {
    ASSERT_TRUE(find(heard, kFrameHeaders) != nullptr || find(heard, kFrameRstStream) != nullptr)
        << one.name << ": no answer";
    rig.feed(one.later, piece);
    for (Frame& more : rig.frames()) heard.push_back(std::move(more));
  }
  const Frame* goaway = find(heard, kFrameGoaway);
  const Frame* reset = find(heard, kFrameRstStream);
  const std::string what = std::string(one.name) + ", RFC 9113 " + one.section + ", in pieces of " +
                           std::to_string(piece);
  if (one.ends != Ends::nothing) {
    const bool ends_all = one.ends == Ends::connection;
    EXPECT_EQ(logged(rig.log, ends_all ? "closed with " : "stream 1: "), line_of(one)) << what;
  }
  if (one.ends == Ends::connection) {
    ASSERT_TRUE(goaway != nullptr) << what;
    EXPECT_EQ(name(goaway->code(4)), name(one.code)) << what;
    EXPECT_TRUE(rig.wire().finished) << what;
    EXPECT_EQ(rig.count("http2.errors"), 1U) << what;
    return;
  }
  ASSERT_TRUE(goaway == nullptr) << what << ": " << name(goaway->code(4)) << " "
                                 << goaway->payload.substr(8);
  if (one.ends == Ends::stream) {
    ASSERT_TRUE(reset != nullptr) << what;
    EXPECT_EQ(reset->stream, 1U) << what;
    EXPECT_EQ(name(reset->code()), name(one.code)) << what;
  } else {
    EXPECT_TRUE(reset == nullptr) << what << ": " << name(reset->code());
  }
  // The connection goes on.
  rig.feed(get(101));
  heard = rig.frames();
  const auto answer = std::find_if(heard.begin(), heard.end(), [](const Frame& f) {
    return f.type == kFrameHeaders && f.stream == 101;
  });
  ASSERT_TRUE(answer != heard.end()) << what;
  EXPECT_EQ(answer->status(), 200) << what;
}

class Http2Rules : public ::testing::TestWithParam<Case> {};

TEST_P(Http2Rules, Whole) { run(GetParam(), SIZE_MAX); }
TEST_P(Http2Rules, ByteByByte) { run(GetParam(), 1); }

TEST_P(Http2Rules, CutAnywhere) {
  // Long ones are cut at a few places; their middle is all alike.
  const Case& one = GetParam();
  const std::size_t step = std::max<std::size_t>(1, one.bytes.size() / 64) * kCutStride;
  for (std::size_t cut = 1; cut < one.bytes.size(); cut += step) {
    Http2Rig rig(waits_or_answers);
    rig.feed(preface(setting(9, 0)) + settings_ack());
    rig.frames();
    rig.feed(one.bytes.substr(0, cut));
    rig.feed(one.bytes.substr(cut));
    if (!one.later.empty()) rig.feed(one.later);
    const std::vector<Frame> heard = rig.frames();
    const Frame* ended = find(heard, one.ends == Ends::connection ? kFrameGoaway : kFrameRstStream);
    if (one.ends == Ends::nothing) {
      EXPECT_TRUE(ended == nullptr) << "cut at " << cut;
      EXPECT_TRUE(find(heard, kFrameGoaway) == nullptr) << "cut at " << cut;
    } else {
      ASSERT_TRUE(ended != nullptr) << "cut at " << cut;
      EXPECT_EQ(name(ended->code(one.ends == Ends::connection ? 4 : 0)), name(one.code))
          << "cut at " << cut;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Rfc9113, Http2Rules, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- the windows for what we send (§6.9) --------------------------------------------------------

/// What has come of stream 1's body, and whether it was all.
std::string body_of(const std::vector<Frame>& heard) {
  std::string body;
  for (const Frame& one : heard) {
    if (one.type != kFrameData || one.stream != 1) continue;
    body += one.payload;
    if (one.end_stream()) body += ".";
  }
  return body;
}

TEST(Http2Windows, OfOneByte) {
  Http2Rig rig(waits_or_answers);
  rig.feed(preface(setting(4, 1)) + settings_ack() + get(1));
  EXPECT_EQ(body_of(rig.frames()), "f");
  rig.feed(window_update(1, 2));
  EXPECT_EQ(body_of(rig.frames()), "in");
  rig.feed(window_update(1, 1));
  EXPECT_EQ(body_of(rig.frames()), "e.");
}

TEST(Http2Windows, TheLastOfASettingsValuesCounts) {
  Http2Rig rig(waits_or_answers);
  rig.feed(preface(setting(4, 100) + setting(4, 1)) + settings_ack() + get(1));
  EXPECT_EQ(body_of(rig.frames()), "f");
}

TEST(Http2Windows, OpenAndCloseBySettings) {
  Http2Rig rig(waits_or_answers);
  rig.feed(preface(setting(4, 0)) + settings_ack() + get(1));
  EXPECT_EQ(body_of(rig.frames()), "");
  rig.feed(settings(setting(4, 3)));
  EXPECT_EQ(body_of(rig.frames()), "fin");
  // Three less than nothing.
  rig.feed(settings(setting(4, 0)) + window_update(1, 3));
  EXPECT_EQ(body_of(rig.frames()), "");
  rig.feed(window_update(1, 1));
  EXPECT_EQ(body_of(rig.frames()), "e.");
}

// ---- the beginning (§3.4) -----------------------------------------------------------------------

TEST(Http2Preface, SomethingElse) {
  Http2Rig rig(waits_or_answers);
  rig.feed("GET / HTTP/1.1\r\nhost: server\r\n\r\n");
  const auto heard = rig.frames();
  const Frame* goaway = find(heard, kFrameGoaway);
  ASSERT_TRUE(goaway != nullptr);
  EXPECT_EQ(goaway->code(4), Http2Code::protocol_error);
  EXPECT_TRUE(rig.wire().finished);
}

TEST(Http2Preface, WithoutSettings) {
  Http2Rig rig(waits_or_answers);
  rig.feed(std::string(kHttp2Preface) + ping());
  const auto heard = rig.frames();
  const Frame* goaway = find(heard, kFrameGoaway);
  ASSERT_TRUE(goaway != nullptr);
  EXPECT_EQ(goaway->code(4), Http2Code::protocol_error);
}

TEST(Http2Preface, ByteByByte) {
  Http2Rig rig(waits_or_answers);
  rig.feed(preface() + get(1), 1);
  const auto heard = rig.frames();
  const Frame* answer = find(heard, kFrameHeaders);
  ASSERT_TRUE(answer != nullptr);
  EXPECT_EQ(answer->status(), 200);
}

}  // namespace
}  // namespace tern::fallback::testing
