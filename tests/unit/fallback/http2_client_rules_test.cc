#include <algorithm>
#include <map>
#include <ostream>

#include "tests/unit/fallback/http2_rig.h"
#include "tests/unit/http/fetch.h"

/// What a server may not send to a client that waits for the answer to a GET on stream 1, with the
/// error that RFC 9113 names. Each runs whole, and cut at every byte. `stricter` is explained in
/// http2_rules_test.cc.

namespace tern::fallback::testing {
namespace {

enum class ClientEnds { connection, stream, answer, waiting };

struct ClientCase {
  const char* name;
  const char* section;  ///< of RFC 9113 unless it says otherwise
  std::string bytes;    ///< after SETTINGS
  ClientEnds ends = ClientEnds::connection;
  Http2Code code = Http2Code::protocol_error;
  bool stricter = false;
};

void PrintTo(const ClientCase& one, std::ostream* out) { *out << one.name; }

std::string answer(const Pairs& lines, bool end = true) { return headers(1, lines, end); }
const Pairs kOk{{":status", "200"}};

std::vector<ClientCase> client_cases() {
  using enum Http2Code;
  constexpr auto kConnection = ClientEnds::connection;
  constexpr auto kStream = ClientEnds::stream;
  constexpr auto kAnswer = ClientEnds::answer;
  constexpr auto kWaiting = ClientEnds::waiting;
  const std::string four(4, '\0');
  const std::string open = answer(kOk, false);
  const std::string whole = answer(kOk);
  std::string entries;
  for (int i = 0; i < 33; ++i) entries += setting(0x4242, 1);
  std::vector<ClientCase> all{
      // ---- frames (§4, §6)
      {"data_on_zero", "6.1", open + data(0, "x")},
      {"data_padding_longer", "6.1", open + frame(kFrameData, kFlagPadded, 1, "\x05xx")},
      {"data_padded", "6.1", open + frame(kFrameData, kFlagPadded | kFlagEndStream, 1, "\x02xyy"),
       kAnswer},
      {"data_too_long", "4.2", open + data(1, std::string(16385, 'x')), kConnection,
       frame_size_error},
      {"headers_on_zero", "6.2", frame(kFrameHeaders, 0x5, 0, block(kOk))},
      {"section_interrupted", "4.3", frame(kFrameHeaders, 0x1, 1, block(kOk)) + ping()},
      {"section_interrupted_by_data", "6.2",
       frame(kFrameHeaders, 0x0, 1, block(kOk)) + data(1, "x")},
      {"section_interrupted_by_headers", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + headers(3, kOk)},
      {"section_interrupted_by_rst", "6.2", frame(kFrameHeaders, 0x1, 1, block(kOk)) + rst(1)},
      {"section_interrupted_by_settings", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + settings()},
      {"section_interrupted_by_push_promise", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) +
           frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request()))},
      {"section_interrupted_by_goaway", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + goaway(0, no_error)},
      {"section_interrupted_by_window_update", "6.2",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + window_update(0, 1)},
      {"section_interrupted_by_unknown", "4.3",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + frame(0x42, 0, 0, "x")},
      {"continuation_on_other", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(kOk)) + frame(kFrameContinuation, 0x4, 3, "")},
      {"continuation_on_zero", "6.10", frame(kFrameContinuation, 0x4, 0, "")},
      {"continuation_after_the_end", "6.10",
       whole + frame(kFrameContinuation, 0x4, 1, block({{"a", "b"}}))},
      {"data_padding_missing", "6.1", open + frame(kFrameData, kFlagPadded, 1, "")},
      {"headers_padding_missing", "6.2", frame(kFrameHeaders, 0x5 | kFlagPadded, 1, "")},
      {"headers_with_priority", "6.2",
       frame(kFrameHeaders, 0x5 | kFlagPriority, 1, four + "\x10" + block(kOk)), kAnswer},
      {"headers_too_long", "4.2", frame(kFrameHeaders, 0x5, 1, std::string(16385, 'x')),
       kConnection, frame_size_error},
      {"unknown_too_long", "4.2", frame(0x42, 0, 0, std::string(16385, 'x')), kConnection,
       frame_size_error},
      {"settings_ack_unasked", "6.5", settings_ack(), kConnection, protocol_error, true},
      {"settings_many_entries", "10.5", settings(entries), kConnection, enhance_your_calm},
      {"ping_ack_unasked", "6.7", ping("12345678", true), kWaiting},
      {"push_promise_on_zero", "6.6",
       frame(kFramePushPromise, kFlagEndHeaders, 0, number(2, 4) + block(request()))},
      {"window_update_zero_on_stream", "6.9", window_update(1, 0), kConnection, protocol_error,
       true},
      {"stream_window_overflows", "6.9.1", window_update(1, 0x7fff'ffff), kConnection,
       flow_control_error, true},
      {"settings_window_overflows_stream", "6.9.2",
       window_update(1, 0x7fff'ffff - 65535) + settings(setting(4, 65536)), kConnection,
       flow_control_error},
      {"priority_size", "6.3", frame(kFramePriority, 0, 1, "abcd"), kConnection, frame_size_error,
       true},
      {"unknown_on_stream", "5.5", frame(0x42, 0xff, 1, "x"), kWaiting},
      {"section_does_not_decompress", "4.3", frame(kFrameHeaders, 0x5, 1, "\xff\xff\xff\xff\xff"),
       kConnection, compression_error},
      {"continuation_alone", "6.10", frame(kFrameContinuation, 0x4, 1, block(kOk))},
      {"rst_on_zero", "6.4", rst(0)},
      {"rst_size", "6.4", frame(kFrameRstStream, 0, 1, "abc"), kConnection, frame_size_error},
      {"settings_on_stream", "6.5", frame(kFrameSettings, 0, 1)},
      {"settings_size", "6.5", frame(kFrameSettings, 0, 0, "abcde"), kConnection, frame_size_error},
      {"settings_ack_with_payload", "6.5", frame(kFrameSettings, kFlagAck, 0, setting(3, 1)),
       kConnection, frame_size_error},
      {"settings_push", "6.5.2", settings(setting(2, 1))},
      {"settings_window_too_large", "6.5.2", settings(setting(4, 0x8000'0000)), kConnection,
       flow_control_error},
      {"settings_frame_too_small", "6.5.2", settings(setting(5, 16383))},
      {"settings_frame_too_large", "6.5.2", settings(setting(5, 16777216))},
      {"settings_connect_2", "RFC 8441 3", settings(setting(8, 2))},
      {"settings_connect_taken_back", "RFC 8441 3",
       settings(setting(8, 1)) + settings(setting(8, 0))},
      {"settings_unknown", "6.5.2", settings(setting(0x4242, 1)), kWaiting},
      {"push_promise", "6.6",
       frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request()))},
      {"ping_on_stream", "6.7", frame(kFramePing, 0, 1, "12345678")},
      {"ping_size", "6.7", frame(kFramePing, 0, 0, "1234567"), kConnection, frame_size_error},
      {"goaway_on_stream", "6.8", frame(kFrameGoaway, 0, 1, four + four)},
      {"goaway_size", "6.8", frame(kFrameGoaway, 0, 0, "abcd"), kConnection, frame_size_error},
      {"goaway_that_takes_more", "6.8", goaway(1, no_error) + goaway(3, no_error)},
      {"window_update_size", "6.9", frame(kFrameWindowUpdate, 0, 0, "abc"), kConnection,
       frame_size_error},
      {"window_update_zero", "6.9", window_update(0, 0)},
      {"window_overflows", "6.9.1", window_update(0, 0x7fff'ffff), kConnection, flow_control_error},
      {"priority_update", "RFC 9218 7.1", frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1")},
      {"priority_on_zero", "6.3", frame(kFramePriority, 0, 0, four + "\x10")},
      {"priority", "6.3", frame(kFramePriority, 0, 1, four + "\x10"), kWaiting},
      {"unknown_frame", "5.5", frame(0x42, 0xff, 0, "x"), kWaiting},
      {"altsvc_frame", "RFC 7838 4", frame(0xa, 0, 0, number(0, 2) + "h3=\":1\""), kWaiting},
      {"origin_frame", "RFC 8336 2", frame(0xc, 0, 0, number(8, 2) + "https://a"), kWaiting},

      // ---- states (§5.1)
      {"data_on_idle", "5.1", data(3, "x")},
      {"headers_on_idle", "5.1", headers(3, kOk)},
      {"rst_on_idle", "5.1", rst(3)},
      {"window_update_on_idle", "5.1", window_update(3, 1)},
      {"headers_on_even", "5.1.1", headers(2, kOk)},
      {"data_on_even", "5.1.1", data(2, "x")},
      {"data_after_the_end", "5.1", whole + data(1, "x"), kAnswer},
      {"headers_after_the_end", "5.1", whole + headers(1, {{"a", "b"}}), kAnswer},
      {"data_after_rst", "5.1", rst(1, internal_error) + data(1, "x"), kStream, no_error},
      {"headers_after_rst", "5.1", rst(1, internal_error) + headers(1, kOk), kStream, no_error},
      {"window_update_after_rst", "5.1", rst(1, internal_error) + window_update(1, 1), kStream,
       no_error},
      {"unknown_after_the_end", "5.5", whole + frame(0x42, 0, 1, "x"), kAnswer},
      {"priority_after_the_end", "5.1", whole + frame(kFramePriority, 0, 1, four + "\x10"),
       kAnswer},
      {"rst_after_the_end", "5.1", whole + rst(1), kAnswer},
      {"window_update_after_the_end", "5.1", whole + window_update(1, 1), kAnswer},
      {"rst", "6.4", rst(1, internal_error), kStream, no_error},
      {"rst_unknown_code", "7", rst(1, static_cast<Http2Code>(0x1234)), kStream, no_error},

      // ---- answers (§8)
      {"answer", "8.1", whole, kAnswer},
      {"answer_in_continuations", "6.10",
       frame(kFrameHeaders, 0x1, 1, block(kOk).substr(0, 3)) +
           frame(kFrameContinuation, 0, 1, block(kOk).substr(3, 2)) +
           frame(kFrameContinuation, 0x4, 1, block(kOk).substr(5)),
       kAnswer},
      {"interim", "8.1", answer({{":status", "103"}, {"link", "x"}}, false) + whole, kAnswer},
      {"trailers", "8.1", open + data(1, "x") + headers(1, {{"a", "b"}}), kAnswer},
      {"length_of_no_body", "8.1.1", answer(plus(kOk, {{"content-length", "0"}})), kAnswer},
      {"answer_304_with_a_length", "8.1.1", answer({{":status", "304"}, {"content-length", "5"}}),
       kAnswer},
      {"data_before_headers", "8.1", data(1, "x"), kConnection, protocol_error, true},
  };
  const auto malformed = [&](const char* name, const char* section, std::string bytes) {
    all.push_back({name, section, std::move(bytes), kStream, protocol_error});
  };
  malformed("no_status", "8.3.2", answer({{"a", "b"}}));
  malformed("two_statuses", "8.3.2", answer({{":status", "200"}, {":status", "200"}}));
  malformed("short_status", "8.3.2", answer({{":status", "20"}}));
  malformed("long_status", "8.3.2", answer({{":status", "2000"}}));
  malformed("status_no_number", "8.3.2", answer({{":status", "abc"}}));
  malformed("status_below_100", "8.3.2", answer({{":status", "099"}}, false));
  // The stream is closed when we see it: there is nothing left to reset.
  all.push_back(
      {"status_below_100_and_the_end", "8.3.2", answer({{":status", "099"}}), kStream, no_error});
  Pairs many = kOk;
  for (int i = 0; i < 300; ++i) many.emplace_back("a", "b");
  all.push_back({"too_many_fields", "10.5.1", answer(many, false), kStream, enhance_your_calm});
  all.push_back({"too_many_fields_and_the_end", "10.5.1", answer(many), kStream, no_error});
  malformed("status_101", "8.6", answer({{":status", "101"}}, false));
  malformed("request_pseudo", "8.3", answer(plus(kOk, {{":path", "/"}})));
  malformed("unknown_pseudo", "8.3", answer(plus(kOk, {{":test", "x"}})));
  malformed("pseudo_after_field", "8.3", answer({{"a", "b"}, {":status", "200"}}));
  malformed("pseudo_in_trailers", "8.1", open + data(1, "x") + headers(1, {{":status", "200"}}));
  malformed("trailers_without_end", "8.1", open + data(1, "x") + headers(1, {{"a", "b"}}, false));
  malformed("upper_case_name", "8.2.1", answer(plus(kOk, {{"Accept", "x"}})));
  malformed("space_in_name", "8.2.1", answer(plus(kOk, {{"a b", "x"}})));
  malformed("lf_in_value", "8.2.1", answer(plus(kOk, {{"a", "x\ny"}})));
  malformed("nul_in_value", "8.2.1", answer(plus(kOk, {{"a", std::string("x\0y", 3)}})));
  malformed("connection", "8.2.2", answer(plus(kOk, {{"connection", "close"}})));
  malformed("keep_alive", "8.2.2", answer(plus(kOk, {{"keep-alive", "1"}})));
  malformed("transfer_encoding", "8.2.2", answer(plus(kOk, {{"transfer-encoding", "chunked"}})));
  malformed("upgrade", "8.2.2", answer(plus(kOk, {{"upgrade", "h2c"}})));
  malformed("length_without_body", "8.1.1", answer(plus(kOk, {{"content-length", "5"}})));
  malformed("length_no_number", "8.1.1", answer(plus(kOk, {{"content-length", "x"}})));
  malformed("two_lengths", "8.1.1",
            answer(plus(kOk, {{"content-length", "0"}, {"content-length", "5"}})));
  malformed("body_longer", "8.1.1",
            answer(plus(kOk, {{"content-length", "1"}}), false) + data(1, "xy"));
  malformed("body_shorter", "8.1.1",
            answer(plus(kOk, {{"content-length", "3"}}), false) + data(1, "xy", true));
  malformed("interim_that_ends", "8.1", answer({{":status", "103"}}));
  malformed("body_behind_an_interim", "8.1", answer({{":status", "103"}}, false) + data(1, "x"));
  return all;
}

/// A client of ours that has asked for something.
struct Asking {
  Asking() {
    rig.feed(settings() + settings_ack());
    std::shared_ptr<http::ClientExchange> exchange = std::move(*rig.session->open());
    rig.runtime().spawn(
        http::testing::fetch(std::move(exchange), http::testing::get("/"), {}, {}, reply));
    rig.world.run_for(1ms);
    rig.frames();
  }

  Http2Rig rig{SessionOptions()};
  std::shared_ptr<http::testing::Reply> reply = std::make_shared<http::testing::Reply>();
};

/// What the log says of each that ends something, and the Error that the application gets.
std::string line_of(const ClientCase& one) {
  static const std::map<std::string_view, std::string_view> all{
      {"section_interrupted_by_data",
       "DATA on stream 1: the field section of stream 1 has not ended (RFC 9113 section 6.10)"},
      {"section_interrupted_by_headers",
       "HEADERS on stream 3: the field section of stream 1 has not ended (RFC 9113 section 6.10)"},
      {"section_interrupted_by_rst",
       "RST_STREAM on stream 1: the field section of stream 1 has not ended (RFC 9113 section "
       "6.10)"},
      {"section_interrupted_by_settings",
       "SETTINGS on stream 0: the field section of stream 1 has not ended (RFC 9113 section 6.10)"},
      {"section_interrupted_by_push_promise",
       "PUSH_PROMISE on stream 1: the field section of stream 1 has not ended (RFC 9113 section "
       "6.10)"},
      {"section_interrupted_by_goaway",
       "GOAWAY on stream 0: the field section of stream 1 has not ended (RFC 9113 section 6.10)"},
      {"section_interrupted_by_window_update",
       "WINDOW_UPDATE on stream 0: the field section of stream 1 has not ended (RFC 9113 section "
       "6.10)"},
      {"section_interrupted_by_unknown",
       "frame 0x42 on stream 0: the field section of stream 1 has not ended (RFC 9113 section "
       "6.10)"},
      {"continuation_on_other",
       "CONTINUATION on stream 3: the field section of stream 1 has not ended (RFC 9113 section "
       "6.10)"},
      {"continuation_on_zero",
       "CONTINUATION on stream 0: there is no field section that it continues (RFC 9113 section "
       "6.10)"},
      {"continuation_after_the_end",
       "CONTINUATION on stream 1: there is no field section that it continues (RFC 9113 section "
       "6.10)"},
      {"data_padding_missing",
       "DATA on stream 1 has 0 bytes, and more padding than that (RFC 9113 section 6.1, section "
       "6.2)"},
      {"headers_padding_missing",
       "HEADERS on stream 1 has 0 bytes, and more padding than that (RFC 9113 section 6.1, section "
       "6.2)"},
      {"headers_too_long",
       "HEADERS on stream 1 has 16385 bytes: our SETTINGS_MAX_FRAME_SIZE is 16384 (RFC 9113 "
       "section 4.2)"},
      {"unknown_too_long",
       "frame 0x42 on stream 0 has 16385 bytes: our SETTINGS_MAX_FRAME_SIZE is 16384 (RFC 9113 "
       "section 4.2)"},
      {"settings_ack_unasked", "SETTINGS: unexpected ACK"},
      {"settings_many_entries", "SETTINGS: too many setting entries"},
      {"push_promise_on_zero",
       "PUSH_PROMISE on stream 0: it belongs to a request (RFC 9113 section 6)"},
      {"window_update_zero_on_stream", "WINDOW_UPDATE: window_size_increment == 0, stream 1"},
      {"stream_window_overflows",
       "stream 1: WINDOW_UPDATE takes its flow control window above 2^31-1 bytes (RFC 9113 section "
       "6.9.1)"},
      {"settings_window_overflows_stream",
       "stream 1: a flow control window was exceeded: by more DATA than it allows, or by a "
       "SETTINGS_INITIAL_WINDOW_SIZE that takes it above 2^31-1 bytes (RFC 9113 section 6.9)"},
      {"priority_size", "PRIORITY on stream 1 has 4 bytes: it has 5 (RFC 9113 section 6.3)"},
      {"data_on_zero", "DATA on stream 0: it belongs to a request (RFC 9113 section 6)"},
      {"data_padding_longer",
       "DATA on stream 1 has 3 bytes, and more padding than that (RFC 9113 section 6.1, section "
       "6.2)"},
      {"data_too_long",
       "DATA on stream 1 has 16385 bytes: our SETTINGS_MAX_FRAME_SIZE is 16384 (RFC 9113 section "
       "4.2)"},
      {"headers_on_zero", "HEADERS on stream 0: it belongs to a request (RFC 9113 section 6)"},
      {"section_interrupted",
       "PING on stream 0: the field section of stream 1 has not ended (RFC 9113 section 6.10)"},
      {"section_does_not_decompress",
       "HEADERS whose field section HPACK cannot decode (RFC 9113 section 4.3), stream 1"},
      {"continuation_alone",
       "CONTINUATION on stream 1: there is no field section that it continues (RFC 9113 section "
       "6.10)"},
      {"rst_on_zero", "RST_STREAM on stream 0: it belongs to a request (RFC 9113 section 6)"},
      {"rst_size", "RST_STREAM on stream 1 has 3 bytes: it has 4 (RFC 9113 section 6.4)"},
      {"settings_on_stream", "SETTINGS on stream 1: it belongs on stream 0 (RFC 9113 section 6)"},
      {"settings_size",
       "SETTINGS on stream 0 has 5 bytes: each entry has 6 (RFC 9113 section 6.5)"},
      {"settings_ack_with_payload",
       "SETTINGS on stream 0 has 6 bytes: an acknowledgement has none (RFC 9113 section 6.5)"},
      {"settings_push", "SETTINGS: server attempted to enable push"},
      {"settings_window_too_large", "SETTINGS: too large SETTINGS_INITIAL_WINDOW_SIZE"},
      {"settings_frame_too_small", "SETTINGS: invalid SETTINGS_MAX_FRAME_SIZE"},
      {"settings_frame_too_large", "SETTINGS: invalid SETTINGS_MAX_FRAME_SIZE"},
      {"settings_connect_2", "SETTINGS: invalid SETTINGS_ENABLE_CONNECT_PROTOCOL"},
      {"settings_connect_taken_back",
       "SETTINGS: server attempted to disable SETTINGS_ENABLE_CONNECT_PROTOCOL"},
      {"push_promise", "PUSH_PROMISE: push disabled, stream 1"},
      {"ping_on_stream", "PING on stream 1: it belongs on stream 0 (RFC 9113 section 6)"},
      {"ping_size", "PING on stream 0 has 7 bytes: it has 8 (RFC 9113 section 6.7)"},
      {"goaway_on_stream", "GOAWAY on stream 1: it belongs on stream 0 (RFC 9113 section 6)"},
      {"goaway_size", "GOAWAY on stream 0 has 4 bytes: it has 8 at least (RFC 9113 section 6.8)"},
      {"goaway_that_takes_more", "GOAWAY: invalid last_stream_id"},
      {"window_update_size",
       "WINDOW_UPDATE on stream 0 has 3 bytes: it has 4 (RFC 9113 section 6.9)"},
      {"window_update_zero", "WINDOW_UPDATE: window_size_increment == 0"},
      {"window_overflows",
       "WINDOW_UPDATE takes the connection's flow control window above 2^31-1 bytes (RFC 9113 "
       "section 6.9.1)"},
      {"priority_update", "PRIORITY_UPDATE is received from server"},
      {"priority_on_zero", "PRIORITY on stream 0: it belongs to a request (RFC 9113 section 6)"},
      {"data_on_idle", "DATA on stream 3: the stream is idle (RFC 9113 section 5.1)"},
      {"headers_on_idle", "HEADERS on stream 3: the stream is idle (RFC 9113 section 5.1)"},
      {"rst_on_idle", "RST_STREAM on stream 3: the stream is idle (RFC 9113 section 5.1)"},
      {"window_update_on_idle",
       "WINDOW_UPDATE on stream 3: the stream is idle (RFC 9113 section 5.1)"},
      {"headers_on_even",
       "HEADERS on stream 2: streams with even numbers are for server push, which there is none of "
       "(RFC 9113 section 5.1.1)"},
      {"data_on_even",
       "DATA on stream 2: streams with even numbers are for server push, which there is none of "
       "(RFC 9113 section 5.1.1)"},
      {"data_before_headers", "DATA: stream not opened"},
      {"no_status", "RFC 9113: a response without \":status\" (section 8.3.2)"},
      {"two_statuses", "RFC 9113: \":status\" twice (section 8.3)"},
      {"short_status", "RFC 9113: \":status\" with a value that is none: \"20\" (section 8.3.2)"},
      {"long_status", "RFC 9113: \":status\" with a value that is none: \"2000\" (section 8.3.2)"},
      {"status_no_number",
       "RFC 9113: \":status\" with a value that is none: \"abc\" (section 8.3.2)"},
      {"status_below_100", "a \":status\" below 100 (RFC 9110 section 15)"},
      {"too_many_fields", "more than 256 header fields (max_fields)"},
      {"status_101", "RFC 9113: status 101, which is HTTP/1.1's (section 8.6)"},
      {"request_pseudo", "RFC 9113: \":path\", which no response has (section 8.3)"},
      {"unknown_pseudo", "RFC 9113: \":test\", which no response has (section 8.3)"},
      {"pseudo_after_field",
       "RFC 9113: \":status\" behind a field that is no pseudo-header (section 8.3)"},
      {"pseudo_in_trailers",
       "RFC 9113: \":status\" in trailers, which have fields alone (section 8.1)"},
      {"trailers_without_end", "RFC 9113: trailers without END_STREAM (section 8.1)"},
      {"upper_case_name",
       "RFC 9113: the field name \"Accept\": they are in lower case (section 8.2.1)"},
      {"space_in_name", "RFC 9113: the field name \"a b\", which is no token (section 8.2.1)"},
      {"lf_in_value",
       "RFC 9113: the field \"a\" with a control character in its value (section 8.2.1)"},
      {"nul_in_value", "RFC 9113: the field \"a\" with a value that HTTP has not (section 8.2.1)"},
      {"connection",
       "RFC 9113: the field \"connection\", which is HTTP/1.1's: it is to be left out (section "
       "8.2.2)"},
      {"keep_alive",
       "RFC 9113: the field \"keep-alive\", which is HTTP/1.1's: it is to be left out (section "
       "8.2.2)"},
      {"transfer_encoding",
       "RFC 9113: the field \"transfer-encoding\", which is HTTP/1.1's: it is to be left out "
       "(section 8.2.2)"},
      {"upgrade",
       "RFC 9113: the field \"upgrade\", which is HTTP/1.1's: it is to be left out (section "
       "8.2.2)"},
      {"length_without_body",
       "RFC 9113: a body that is not as long as its content-length of 5 (section 8.1.1)"},
      {"length_no_number", "RFC 9113: a content-length that is no number: \"x\" (section 8.1.1)"},
      {"two_lengths", "RFC 9113: more than one content-length (section 8.1.1)"},
      {"body_longer",
       "RFC 9113: a body that is not as long as its content-length of 1 (section 8.1.1)"},
      {"body_shorter",
       "RFC 9113: a body that is not as long as its content-length of 3 (section 8.1.1)"},
      {"interim_that_ends",
       "RFC 9113: a body, or the end, behind an interim response (103) (section 8.1)"},
      {"body_behind_an_interim",
       "RFC 9113: a body, or the end, behind an interim response (103) (section 8.1)"},
  };
  const auto found = all.find(one.name);
  EXPECT_NE(found, all.end()) << one.name << " has no line";
  return std::string(name(one.code)) + ": " +
         std::string(found != all.end() ? found->second : std::string_view());
}

void check(const ClientCase& one, Asking& asking, const std::string& how) {
  const std::string what = std::string(one.name) + ", RFC 9113 " + one.section + ", " + how;
  const std::vector<Frame> heard = asking.rig.frames();
  const Frame* goaway = find(heard, kFrameGoaway);
  const Frame* reset = find(heard, kFrameRstStream);
  const http::testing::Reply& reply = *asking.reply;
  if (one.ends == ClientEnds::connection ||
      (one.ends == ClientEnds::stream && one.code != Http2Code::no_error)) {
    const bool ends_all = one.ends == ClientEnds::connection;
    const std::string line = line_of(one);
    EXPECT_EQ(logged(asking.rig.log, ends_all ? "closed with " : "stream 1: "), line) << what;
    // The request's own error does not say which stream it was.
    std::string_view said = std::string_view(line).substr(line.find(": ") + 2);
    if (said.starts_with("stream 1: ")) said.remove_prefix(std::string_view("stream 1: ").size());
    if (reply.error) {
      EXPECT_THAT(reply.error->detail, ::testing::HasSubstr(std::string(said)));
    }
  }
  if (one.ends == ClientEnds::connection) {
    ASSERT_TRUE(goaway != nullptr) << what;
    EXPECT_EQ(name(goaway->code(4)), name(one.code)) << what;
    EXPECT_TRUE(asking.rig.wire().finished) << what;
    EXPECT_TRUE(reply.done && (reply.error || one.bytes.starts_with(answer(kOk)))) << what;
    return;
  }
  ASSERT_TRUE(goaway == nullptr) << what << ": " << name(goaway->code(4)) << " "
                                 << goaway->payload.substr(8);
  switch (one.ends) {
    case ClientEnds::connection: break;
    case ClientEnds::stream:
      EXPECT_TRUE(reply.done && reply.error) << what;
      if (one.code == Http2Code::no_error) break;  // whoever ended it
      ASSERT_TRUE(reset != nullptr) << what;
      EXPECT_EQ(reset->stream, 1U) << what;
      EXPECT_EQ(name(reset->code()), name(one.code)) << what;
      break;
    case ClientEnds::answer:
      EXPECT_TRUE(reset == nullptr) << what << ": " << name(reset->code());
      EXPECT_TRUE(reply.done && !reply.error) << what;
      break;
    case ClientEnds::waiting:
      EXPECT_TRUE(reset == nullptr) << what << ": " << name(reset->code());
      EXPECT_FALSE(reply.done) << what;
      break;
  }
  // The connection goes on.
  ASSERT_NE(asking.rig.session, nullptr) << what;
  EXPECT_TRUE(asking.rig.session->accepts_requests()) << what;
}

class Http2ClientRules : public ::testing::TestWithParam<ClientCase> {};

TEST_P(Http2ClientRules, Whole) {
  Asking asking;
  asking.rig.feed(GetParam().bytes);
  check(GetParam(), asking, "whole");
}

TEST_P(Http2ClientRules, ByteByByte) {
  Asking asking;
  asking.rig.feed(GetParam().bytes, 1);
  check(GetParam(), asking, "byte by byte");
}

TEST_P(Http2ClientRules, CutAnywhere) {
  const ClientCase& one = GetParam();
  const std::size_t step = std::max<std::size_t>(1, one.bytes.size() / 64) * kCutStride;
  for (std::size_t cut = 1; cut < one.bytes.size(); cut += step) {
    Asking asking;
    asking.rig.feed(one.bytes.substr(0, cut));
    asking.rig.feed(one.bytes.substr(cut));
    check(one, asking, "cut at " + std::to_string(cut));
    if (::testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Rfc9113, Http2ClientRules, ::testing::ValuesIn(client_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tern::fallback::testing
