#include "http/fallback/http2_bridge.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include <nghttp2/nghttp2.h>

#include "base/check.h"
#include "base/pool_allocator.h"
#include "http/fallback/http2_stream.h"

namespace tern::fallback {

namespace {

constexpr int kOk = 0;
constexpr std::size_t kMaxExtraSettings = 16;

Http2Name name_of(std::string_view name) noexcept {
  using Name = Http2Name;
  if (name.empty()) return Name::other;
  if (name[0] == ':') {
    if (name == ":method") return Name::method;
    if (name == ":path") return Name::path;
    if (name == ":scheme") return Name::scheme;
    if (name == ":authority") return Name::authority;
    if (name == ":status") return Name::status;
    if (name == ":protocol") return Name::protocol;
    return Name::other;
  }
  switch (name.size()) {
    case 4: return name == "host" ? Name::host : Name::other;
    case 6: return name == "cookie" ? Name::cookie : Name::other;
    case 14: return name == "content-length" ? Name::content_length : Name::other;
    default: return Name::other;
  }
}

std::string_view text_of(nghttp2_rcbuf* buffer) noexcept {
  const nghttp2_vec vec = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(vec.base), vec.len};
}

const nghttp2_nv* to_library(std::span<const Http2Bridge::Line> lines) noexcept {
  return reinterpret_cast<const nghttp2_nv*>(lines.data());
}

Http2Stream* owner_of(nghttp2_session* session, std::int32_t id) noexcept {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

}  // namespace

struct Http2Callbacks {
  using Line = Http2Bridge::Line;

  static_assert(sizeof(Line) == sizeof(nghttp2_nv));
  static_assert(offsetof(Line, name_) == offsetof(nghttp2_nv, name));
  static_assert(offsetof(Line, value_) == offsetof(nghttp2_nv, value));
  static_assert(offsetof(Line, name_size_) == offsetof(nghttp2_nv, namelen));
  static_assert(offsetof(Line, value_size_) == offsetof(nghttp2_nv, valuelen));
  static_assert(offsetof(Line, flags_) == offsetof(nghttp2_nv, flags));
  static_assert(Line::kBorrowed == (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE));

  static Http2Bridge& bridge(void* user_data) noexcept {
    return *static_cast<Http2Bridge*>(user_data);
  }
  static Http2Bridge::Listener& listener(void* user_data) noexcept {
    return bridge(user_data).listener_;
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame,
                           void* user_data) noexcept {
    Http2Bridge& self = bridge(user_data);
    const std::int32_t id = frame->hd.stream_id;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      self.section_owner_ = self.listener_.begin_request(id);
      if (self.section_owner_ == nullptr) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return kOk;
      }
      nghttp2_session_set_stream_user_data(session, id, self.section_owner_);
    } else {
      self.section_owner_ = owner_of(session, id);
    }
    self.frame_ = {frame->hd.type, id};
    if (self.section_owner_ != nullptr) self.section_owner_->section_begins();
    return kOk;
  }
  static int header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf* name,
                    nghttp2_rcbuf* value, std::uint8_t, void* user_data) noexcept {
    Http2Stream* owner = bridge(user_data).section_owner_;
    if (owner == nullptr) return kOk;
    const std::string_view text = text_of(name);
    const bool go_on = owner->field(name_of(text), text, text_of(value));
    return go_on ? kOk : static_cast<int>(NGHTTP2_ERR_CALLBACK_FAILURE);
  }
  /// nghttp2 tells of lines that it resets a stream for by a text alone, made for people.
  static int error(nghttp2_session*, int failure, const char* text, std::size_t size,
                   void* user_data) noexcept {
    Http2Stream* owner = bridge(user_data).section_owner_;
    if (failure != NGHTTP2_ERR_HTTP_HEADER || owner == nullptr) return kOk;
    constexpr std::string_view kName = "name: [";
    constexpr std::string_view kValue = "], value: [";
    const std::string_view all(text, size);
    const std::size_t name = all.find(kName);
    const std::size_t value = all.find(kValue, name);
    if (value == std::string_view::npos || !all.ends_with(']')) return kOk;
    const std::size_t from = name + kName.size();
    owner->line_refused(all.substr(from, value - from),
                        all.substr(value + kValue.size(), size - 1 - value - kValue.size()));
    return kOk;
  }
  /// What is wrong with a frame that ends the connection, or its stream for another reason than the
  /// message.
  static int invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int failure,
                           void* user_data) noexcept {
    bridge(user_data).frame_ = {frame->hd.type, frame->hd.stream_id};
    if (failure == NGHTTP2_ERR_FLOW_CONTROL && frame->hd.type == NGHTTP2_WINDOW_UPDATE) {
      if (Http2Stream* owner = owner_of(session, frame->hd.stream_id)) owner->window_overflows();
    }
    return kOk;
  }
  /// RFC 9113 §8.2.1 has such a message be malformed; nghttp2 alone would leave the line out.
  static int invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                            std::uint8_t, void*) noexcept {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame,
                            void* user_data) noexcept {
    Http2Bridge& self = bridge(user_data);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: {
        Http2Stream* owner = self.section_owner_;
        self.section_owner_ = nullptr;
        self.frame_ = {};
        if (owner == nullptr) break;
        const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        owner->section_ends();
        if (end) owner->message_ends();
        break;
      }
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
        if (Http2Stream* owner = owner_of(session, frame->hd.stream_id)) owner->message_ends();
        break;
      case NGHTTP2_RST_STREAM:
        if (Http2Stream* owner = owner_of(session, frame->hd.stream_id)) {
          owner->peer_reset(static_cast<Http2Code>(frame->rst_stream.error_code));
        }
        break;
      case NGHTTP2_SETTINGS:
        for (std::size_t i = 0; i < frame->settings.niv; ++i) {
          const nghttp2_settings_entry& entry = frame->settings.iv[i];
          if (entry.settings_id <= NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES) continue;
          self.listener_.setting(static_cast<std::uint16_t>(entry.settings_id), entry.value);
        }
        self.listener_.settings((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0);
        break;
      case NGHTTP2_GOAWAY:
        self.listener_.goaway(frame->goaway.last_stream_id,
                              static_cast<Http2Code>(frame->goaway.error_code),
                              {frame->goaway.opaque_data, frame->goaway.opaque_data_len});
        break;
      default: break;
    }
    return kOk;
  }
  static int data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                  const std::uint8_t* bytes, std::size_t size, void*) noexcept {
    if (Http2Stream* owner = owner_of(session, id)) {
      owner->body({bytes, size});
    } else {
      nghttp2_session_consume(session, id, size);
    }
    return kOk;
  }
  static int stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t code,
                          void* user_data) noexcept {
    Http2Bridge& self = bridge(user_data);
    Http2Stream* owner = owner_of(session, id);
    if (owner == nullptr) return kOk;
    if (self.section_owner_ == owner) self.section_owner_ = nullptr;
    self.listener_.stream_closed(*owner, static_cast<Http2Code>(code));
    return kOk;
  }
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame,
                        void* user_data) noexcept {
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
        if (Http2Stream* owner = owner_of(session, frame->hd.stream_id)) owner->end_sent();
        break;
      case NGHTTP2_RST_STREAM:
        listener(user_data).reset_sent(frame->hd.stream_id,
                                       static_cast<Http2Code>(frame->rst_stream.error_code));
        break;
      case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
          const Http2Bridge& self = bridge(user_data);
          listener(user_data).goaway_sent(
              static_cast<Http2Code>(frame->goaway.error_code),
              as_text({frame->goaway.opaque_data, frame->goaway.opaque_data_len}), self.frame_);
        }
        break;
      default: break;
    }
    return kOk;
  }
  static ssize_t read_data(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                           std::size_t room, std::uint32_t* flags, nghttp2_data_source*,
                           void*) noexcept {
    Http2Stream* owner = owner_of(session, id);
    if (owner == nullptr) return NGHTTP2_ERR_DEFERRED;
    const Http2Bridge::Body body = owner->read_body(room);
    if (body.size == 0 && !body.end) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (body.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (body.trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        owner->submit_trailers();
      }
    }
    return static_cast<ssize_t>(body.size);
  }
  static int send_data(nghttp2_session* session, nghttp2_frame* frame, const std::uint8_t* header,
                       std::size_t size, nghttp2_data_source*, void* user_data) noexcept {
    Http2Stream* owner = owner_of(session, frame->hd.stream_id);
    TERN_CHECK(owner != nullptr);
    const bool room = listener(user_data).put_data(*owner, {header, 9}, size);
    return room ? kOk : static_cast<int>(NGHTTP2_ERR_PAUSE);
  }

  static nghttp2_session_callbacks* make() noexcept {
    nghttp2_session_callbacks* all = nullptr;
    TERN_CHECK(nghttp2_session_callbacks_new(&all) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(all, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(all, invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(all, error);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, data);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(all, send_data);
    return all;
  }
};

namespace {

/// What holds for every session; nghttp2 copies what it needs of it.
nghttp2_option* make_options(const Http2Bridge::Config& config) noexcept {
  nghttp2_option* option = nullptr;
  TERN_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_reserved_remote_streams(option, 0);
  nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_max_outbound_ack(option, config.max_unsent_acks);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, config.hpack_capacity);
  // Longer sections than the peer takes are refused before they come here.
  nghttp2_option_set_max_send_header_block_length(option, 1024 * 1024);
  return option;
}

}  // namespace

Http2Bridge::Http2Bridge(Listener& listener, MemoryPool& pool, const Config& config)
    : listener_(listener) {
  PoolAllocator allocator(pool);  // nghttp2 copies it
  static nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
  nghttp2_option* option = make_options(config);
  auto* mem = allocator.as<nghttp2_mem>();
  const int made = config.server
                       ? nghttp2_session_server_new3(&session_, callbacks, this, option, mem)
                       : nghttp2_session_client_new3(&session_, callbacks, this, option, mem);
  nghttp2_option_del(option);
  TERN_CHECK(made == 0);

  std::array<nghttp2_settings_entry, 8 + kMaxExtraSettings> entries{};
  std::size_t count = 0;
  const auto set = [&](int id, std::uint64_t value) {
    entries[count++] = {id, static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX))};
  };
  // What is the default anyway is left out: Tomcat takes a dozen entries for an attack.
  const auto set_unless = [&](int id, std::uint64_t value, std::uint64_t initial) {
    if (value != initial) set(id, value);
  };
  set_unless(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, config.hpack_capacity, 4096);
  if (config.server) {
    set(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config.max_streams);
    if (config.extended_connect) set(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  } else {
    set(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  }
  set_unless(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config.stream_window, 65535);
  set_unless(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, config.max_frame, 16384);
  set(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, config.max_field_section);
  // RFC 9218 §2.1: only its priorities count, not RFC 7540's tree.
  set(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
  TERN_CHECK(config.extra_settings.size() <= kMaxExtraSettings);
  if (config.server) {
    for (const Setting& extra : config.extra_settings) set(extra.id, extra.value);
  }
  TERN_CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), count) == 0);
  TERN_CHECK(nghttp2_session_set_local_window_size(
                 session_, NGHTTP2_FLAG_NONE, 0,
                 static_cast<std::int32_t>(config.connection_window)) == 0);
}

void Http2Bridge::submit_settings(std::span<const Setting> extra_settings) noexcept {
  TERN_CHECK(extra_settings.size() <= kMaxExtraSettings);
  std::array<nghttp2_settings_entry, kMaxExtraSettings> entries{};
  std::size_t count = 0;
  for (const Setting& extra : extra_settings) entries[count++] = {extra.id, extra.value};
  TERN_CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), count) == 0);
}

Http2Bridge::~Http2Bridge() { nghttp2_session_del(session_); }

Http2Code Http2Bridge::code_of(std::ptrdiff_t failure) noexcept {
  switch (failure) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
    case NGHTTP2_ERR_PROTO: return Http2Code::protocol_error;
    case NGHTTP2_ERR_HEADER_COMP: return Http2Code::compression_error;
    case NGHTTP2_ERR_FLOODED:
    case -905:  // NGHTTP2_ERR_TOO_MANY_CONTINUATIONS, which old headers do not have
      return Http2Code::enhance_your_calm;
    default: return Http2Code::internal_error;
  }
}

std::string_view Http2Bridge::describe(std::ptrdiff_t failure) noexcept {
  switch (failure) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return "the first bytes are not HTTP/2's preface (RFC 9113 section 3.4): the client speaks "
             "another "
             "protocol";
    case NGHTTP2_ERR_FLOODED:
      return "PING and SETTINGS come, and their acknowledgements are not read (max_unsent_acks)";
    default: return nghttp2_strerror(static_cast<int>(failure));
  }
}

std::ptrdiff_t Http2Bridge::receive(ByteView bytes) noexcept {
  return nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
}

std::ptrdiff_t Http2Bridge::send(const std::uint8_t*& bytes) noexcept {
  return nghttp2_session_mem_send(session_, &bytes);
}

bool Http2Bridge::wants_to_send() const noexcept {
  return nghttp2_session_want_write(session_) != 0;
}

std::ptrdiff_t Http2Bridge::submit_request(Http2Stream& owner, std::span<const Line> lines,
                                           bool body) noexcept {
  nghttp2_data_provider provider{};
  provider.read_callback = Http2Callbacks::read_data;
  return nghttp2_submit_request(session_, nullptr, to_library(lines), lines.size(),
                                body ? &provider : nullptr, &owner);
}

std::ptrdiff_t Http2Bridge::submit_interim(Http2StreamId id, std::span<const Line> lines) noexcept {
  return nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, to_library(lines),
                                lines.size(), nullptr);
}

std::ptrdiff_t Http2Bridge::submit_response(Http2StreamId id, std::span<const Line> lines,
                                            bool body) noexcept {
  nghttp2_data_provider provider{};
  provider.read_callback = Http2Callbacks::read_data;
  return nghttp2_submit_response(session_, id, to_library(lines), lines.size(),
                                 body ? &provider : nullptr);
}

std::ptrdiff_t Http2Bridge::submit_trailers(Http2StreamId id,
                                            std::span<const Line> lines) noexcept {
  return nghttp2_submit_trailer(session_, id, to_library(lines), lines.size());
}

void Http2Bridge::reset(Http2StreamId id, Http2Code code) noexcept {
  TERN_CHECK(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id,
                                       static_cast<std::uint32_t>(code)) == 0);
}

void Http2Bridge::resume(Http2StreamId id) noexcept {
  // It fails when there is nothing to resume: the stream has gone, or its head has not left yet.
  nghttp2_session_resume_data(session_, id);
}

void Http2Bridge::consumed(Http2StreamId id, std::size_t count) noexcept {
  nghttp2_session_consume(session_, id, count);
}

void Http2Bridge::consumed_connection(std::size_t count) noexcept {
  nghttp2_session_consume_connection(session_, count);
}

void Http2Bridge::set_priority(Http2StreamId id, http::Priority priority) noexcept {
  nghttp2_extpri wanted{};
  wanted.urgency = priority.urgency;
  wanted.inc = priority.incremental ? 1 : 0;
  nghttp2_session_change_extpri_stream_priority(session_, id, &wanted, 1);
}

void Http2Bridge::send_priority_update(Http2StreamId id, std::string_view field_value) noexcept {
  nghttp2_submit_priority_update(session_, NGHTTP2_FLAG_NONE, id,
                                 reinterpret_cast<const std::uint8_t*>(field_value.data()),
                                 field_value.size());
}

void Http2Bridge::submit_shutdown_notice() noexcept {
  TERN_CHECK(nghttp2_submit_shutdown_notice(session_) == 0);
}

void Http2Bridge::submit_goaway() noexcept {
  TERN_CHECK(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_processed(), NGHTTP2_NO_ERROR,
                                   nullptr, 0) == 0);
}

Http2StreamId Http2Bridge::last_processed() const noexcept {
  return nghttp2_session_get_last_proc_stream_id(session_);
}

std::int32_t Http2Bridge::stream_window(Http2StreamId id) const noexcept {
  return nghttp2_session_get_stream_remote_window_size(session_, id);
}

std::int32_t Http2Bridge::receive_window(Http2StreamId id) const noexcept {
  return nghttp2_session_get_stream_local_window_size(session_, id);
}

std::int32_t Http2Bridge::connection_window() const noexcept {
  return nghttp2_session_get_remote_window_size(session_);
}

std::uint32_t Http2Bridge::peer_max_streams() const noexcept {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

std::uint32_t Http2Bridge::peer_field_limit() const noexcept {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
}

bool Http2Bridge::peer_extended_connect() const noexcept {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) ==
         1;
}

}  // namespace tern::fallback
