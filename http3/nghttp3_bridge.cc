#include "http3/nghttp3_bridge.h"

#include <cstddef>

#include <nghttp3/nghttp3.h>

#include "base/check.h"
#include "http3/request_stream.h"

namespace tern::http3 {

static_assert(sizeof(quic::Vec) == sizeof(nghttp3_vec));
static_assert(offsetof(nghttp3_vec, len) == offsetof(quic::Vec, size));

namespace {

constexpr int kOk = 0;

Nghttp3Bridge::Name name_of(std::int32_t token) noexcept {
  using Name = Nghttp3Bridge::Name;
  switch (token) {
    case NGHTTP3_QPACK_TOKEN__METHOD: return Name::method;
    case NGHTTP3_QPACK_TOKEN__SCHEME: return Name::scheme;
    case NGHTTP3_QPACK_TOKEN__AUTHORITY: return Name::authority;
    case NGHTTP3_QPACK_TOKEN__PATH: return Name::path;
    case NGHTTP3_QPACK_TOKEN__PROTOCOL: return Name::protocol;
    case NGHTTP3_QPACK_TOKEN__STATUS: return Name::status;
    case NGHTTP3_QPACK_TOKEN_HOST: return Name::host;
    case NGHTTP3_QPACK_TOKEN_CONTENT_LENGTH: return Name::content_length;
    case NGHTTP3_QPACK_TOKEN_COOKIE: return Name::cookie;
    case NGHTTP3_QPACK_TOKEN_PRIORITY: return Name::priority;
    default: return Name::other;
  }
}

std::string_view text_of(const nghttp3_rcbuf* buffer) noexcept {
  const nghttp3_vec vec = nghttp3_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(vec.base), vec.len};
}

RequestStream* owner_of(void* stream_user_data) noexcept {
  return static_cast<RequestStream*>(stream_user_data);
}

const nghttp3_nv* to_library(std::span<const Nghttp3Bridge::Line> lines) noexcept {
  return reinterpret_cast<const nghttp3_nv*>(lines.data());
}

nghttp3_pri to_library(http::Priority priority) noexcept {
  nghttp3_pri pri{};
  pri.urgency = priority.urgency;
  pri.inc = priority.incremental ? 1 : 0;
  return pri;
}

}  // namespace

struct Nghttp3Callbacks {
  using Listener = Nghttp3Bridge::Listener;
  using Line = Nghttp3Bridge::Line;

  static_assert(sizeof(Line) == sizeof(nghttp3_nv));
  static_assert(offsetof(Line, name_) == offsetof(nghttp3_nv, name));
  static_assert(offsetof(Line, value_) == offsetof(nghttp3_nv, value));
  static_assert(offsetof(Line, name_size_) == offsetof(nghttp3_nv, namelen));
  static_assert(offsetof(Line, value_size_) == offsetof(nghttp3_nv, valuelen));
  static_assert(offsetof(Line, flags_) == offsetof(nghttp3_nv, flags));
  static_assert(Line::kBorrowed == (NGHTTP3_NV_FLAG_NO_COPY_NAME | NGHTTP3_NV_FLAG_NO_COPY_VALUE));

  static Listener& listener(void* user_data) noexcept {
    return static_cast<Nghttp3Bridge*>(user_data)->listener_;
  }

  static int begin_headers(nghttp3_conn* conn, std::int64_t stream, void* user_data,
                           void*) noexcept {
    RequestStream* owner = listener(user_data).find(stream);
    if (owner != nullptr) owner->section_begins(false);
    nghttp3_conn_set_stream_user_data(conn, stream, owner);
    return kOk;
  }
  static int begin_trailers(nghttp3_conn*, std::int64_t, void*, void* stream_user_data) noexcept {
    if (stream_user_data != nullptr) owner_of(stream_user_data)->section_begins(true);
    return kOk;
  }
  template <bool kTrailers>
  static int recv_field(nghttp3_conn*, std::int64_t, std::int32_t token, nghttp3_rcbuf* name,
                        nghttp3_rcbuf* value, std::uint8_t, void*,
                        void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) return kOk;
    const bool go_on =
        owner_of(stream_user_data)->field(name_of(token), text_of(name), text_of(value), kTrailers);
    return go_on ? kOk : static_cast<int>(NGHTTP3_ERR_CALLBACK_FAILURE);
  }
  template <bool kTrailers>
  static int end_fields(nghttp3_conn*, std::int64_t, int, void*, void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) return kOk;
    owner_of(stream_user_data)->section_ends(kTrailers);
    return kOk;
  }
  static int recv_data(nghttp3_conn*, std::int64_t stream, const std::uint8_t* data,
                       std::size_t size, void* user_data, void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) {
      listener(user_data).consumed(stream, size);
    } else {
      owner_of(stream_user_data)->body({data, size});
    }
    return kOk;
  }
  static int end_stream(nghttp3_conn*, std::int64_t, void*, void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) return kOk;
    owner_of(stream_user_data)->message_ends();
    return kOk;
  }
  static int deferred_consume(nghttp3_conn*, std::int64_t stream, std::size_t count,
                              void* user_data, void*) noexcept {
    listener(user_data).consumed(stream, count);
    return kOk;
  }
  /// nghttp3 asks for STOP_SENDING and RESET_STREAM one after the other: one suffices.
  static int reset_stream(nghttp3_conn*, std::int64_t stream, std::uint64_t code, void* user_data,
                          void*) noexcept {
    listener(user_data).wants_reset(stream, code);
    return kOk;
  }
  static int acked_stream_data(nghttp3_conn*, std::int64_t, std::uint64_t count, void*,
                               void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) return kOk;
    owner_of(stream_user_data)->body_acked(count);
    return kOk;
  }
  static int stream_close(nghttp3_conn*, std::int64_t, std::uint64_t, void* user_data,
                          void* stream_user_data) noexcept {
    static_cast<Nghttp3Bridge*>(user_data)->forgot_ = true;
    if (stream_user_data != nullptr) listener(user_data).forgotten(*owner_of(stream_user_data));
    return kOk;
  }
  static int shutdown(nghttp3_conn*, std::int64_t id, void* user_data) noexcept {
    listener(user_data).goaway(id);
    return kOk;
  }
  static nghttp3_ssize read_data(nghttp3_conn*, std::int64_t, nghttp3_vec* vecs, std::size_t count,
                                 std::uint32_t* flags, void*, void* stream_user_data) noexcept {
    if (stream_user_data == nullptr) return NGHTTP3_ERR_WOULDBLOCK;
    const Nghttp3Bridge::Body body =
        owner_of(stream_user_data)->read_body({reinterpret_cast<quic::Vec*>(vecs), count});
    if (body.count == 0 && !body.end) return NGHTTP3_ERR_WOULDBLOCK;
    if (body.end) {
      *flags |= NGHTTP3_DATA_FLAG_EOF;
      if (body.trailers) *flags |= NGHTTP3_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<nghttp3_ssize>(body.count);
  }

  static nghttp3_callbacks make() noexcept {
    nghttp3_callbacks all{};
    all.begin_headers = begin_headers;
    all.recv_header = recv_field<false>;
    all.end_headers = end_fields<false>;
    all.begin_trailers = begin_trailers;
    all.recv_trailer = recv_field<true>;
    all.end_trailers = end_fields<true>;
    all.recv_data = recv_data;
    all.end_stream = end_stream;
    all.deferred_consume = deferred_consume;
    all.reset_stream = reset_stream;
    all.acked_stream_data = acked_stream_data;
    all.stream_close = stream_close;
    all.shutdown = shutdown;
    return all;
  }
};

Nghttp3Bridge::Nghttp3Bridge(Listener& listener, MemoryPool& pool, const Config& config)
    : listener_(listener), server_(config.server) {
  static_assert(sizeof(Allocator) == sizeof(nghttp3_mem));
  allocator_ = {
      &pool,
      [](std::size_t size, void* self) { return static_cast<MemoryPool*>(self)->allocate(size); },
      [](void* block, void* self) { static_cast<MemoryPool*>(self)->release(block); },
      [](std::size_t count, std::size_t size, void* self) {
        return static_cast<MemoryPool*>(self)->allocate_zeroed(count, size);
      },
      [](void* block, std::size_t size, void* self) {
        return static_cast<MemoryPool*>(self)->reallocate(block, size);
      }};
  static const nghttp3_callbacks callbacks = Nghttp3Callbacks::make();
  nghttp3_settings settings;
  nghttp3_settings_default(&settings);
  settings.max_field_section_size = config.max_field_section;
  settings.qpack_max_dtable_capacity = config.qpack_capacity;
  settings.qpack_encoder_max_dtable_capacity = config.qpack_encoder_capacity;
  settings.qpack_blocked_streams = config.qpack_blocked_streams;
  settings.enable_connect_protocol = config.extended_connect ? 1 : 0;
  settings.h3_datagram = config.datagrams ? 1 : 0;
  const auto* mem = reinterpret_cast<const nghttp3_mem*>(&allocator_);
  const int result = server_ ? nghttp3_conn_server_new(&conn_, &callbacks, &settings, mem, this)
                             : nghttp3_conn_client_new(&conn_, &callbacks, &settings, mem, this);
  TERN_CHECK(result == 0);
  nghttp3_conn_set_max_concurrent_streams(conn_, config.max_streams);
}

Nghttp3Bridge::~Nghttp3Bridge() { nghttp3_conn_del(conn_); }

ErrorCode Nghttp3Bridge::error_of(std::ptrdiff_t failure) noexcept {
  // A field line above nghttp3's own limits is the peer's doing, not an internal error.
  if (failure == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE) return ErrorCode::excessive_load;
  return static_cast<ErrorCode>(nghttp3_err_infer_quic_app_error_code(static_cast<int>(failure)));
}

std::string_view Nghttp3Bridge::describe(std::ptrdiff_t failure) noexcept {
  return nghttp3_strerror(static_cast<int>(failure));
}

void Nghttp3Bridge::bind(quic::StreamId control, quic::StreamId encoder, quic::StreamId decoder) {
  TERN_CHECK(nghttp3_conn_bind_control_stream(conn_, control) == 0);
  TERN_CHECK(nghttp3_conn_bind_qpack_streams(conn_, encoder, decoder) == 0);
}

std::ptrdiff_t Nghttp3Bridge::read(quic::StreamId stream, ByteView bytes, bool fin) noexcept {
  return nghttp3_conn_read_stream(conn_, stream, bytes.data(), bytes.size(), fin ? 1 : 0);
}

std::ptrdiff_t Nghttp3Bridge::shutdown_read(quic::StreamId stream) noexcept {
  return nghttp3_conn_shutdown_stream_read(conn_, stream);
}

void Nghttp3Bridge::shutdown_write(quic::StreamId stream) noexcept {
  nghttp3_conn_shutdown_stream_write(conn_, stream);
}

std::ptrdiff_t Nghttp3Bridge::close(quic::StreamId stream, std::uint64_t code) noexcept {
  forgot_ = false;
  const int result = nghttp3_conn_close_stream(conn_, stream, code);
  if (result == NGHTTP3_ERR_STREAM_NOT_FOUND) return 0;
  if (result < 0) return result;
  const bool request = (stream & 3) == 0;  // nghttp3 tells of no others
  return forgot_ || !request ? 0 : 1;
}

void Nghttp3Bridge::disown(quic::StreamId stream) noexcept {
  nghttp3_conn_set_stream_user_data(conn_, stream, nullptr);
}

std::ptrdiff_t Nghttp3Bridge::writev(quic::StreamId& stream, bool& fin,
                                     std::span<quic::Vec> vecs) noexcept {
  int library_fin = 0;
  const nghttp3_ssize count = nghttp3_conn_writev_stream(
      conn_, &stream, &library_fin, reinterpret_cast<nghttp3_vec*>(vecs.data()), vecs.size());
  fin = library_fin != 0;
  return count;
}

std::ptrdiff_t Nghttp3Bridge::sent(quic::StreamId stream, std::size_t count) noexcept {
  return nghttp3_conn_add_write_offset(conn_, stream, count);
}

std::ptrdiff_t Nghttp3Bridge::acked(quic::StreamId stream, std::uint64_t count) noexcept {
  return nghttp3_conn_add_ack_offset(conn_, stream, count);
}

void Nghttp3Bridge::block(quic::StreamId stream) noexcept {
  nghttp3_conn_block_stream(conn_, stream);
}

void Nghttp3Bridge::unblock(quic::StreamId stream) noexcept {
  TERN_CHECK(nghttp3_conn_unblock_stream(conn_, stream) == 0);
}

void Nghttp3Bridge::resume(quic::StreamId stream) noexcept {
  TERN_CHECK(nghttp3_conn_resume_stream(conn_, stream) == 0);
}

std::ptrdiff_t Nghttp3Bridge::submit_request(RequestStream& owner, quic::StreamId stream,
                                             std::span<const Line> lines, bool body) noexcept {
  const nghttp3_data_reader reader{Nghttp3Callbacks::read_data};
  return nghttp3_conn_submit_request(conn_, stream, to_library(lines), lines.size(),
                                     body ? &reader : nullptr, &owner);
}

std::ptrdiff_t Nghttp3Bridge::submit_interim(quic::StreamId stream,
                                             std::span<const Line> lines) noexcept {
  return nghttp3_conn_submit_info(conn_, stream, to_library(lines), lines.size());
}

std::ptrdiff_t Nghttp3Bridge::submit_response(RequestStream* owner, quic::StreamId stream,
                                              std::span<const Line> lines, bool body) noexcept {
  const nghttp3_data_reader reader{Nghttp3Callbacks::read_data};
  if (owner != nullptr) nghttp3_conn_set_stream_user_data(conn_, stream, owner);
  return nghttp3_conn_submit_response(conn_, stream, to_library(lines), lines.size(),
                                      body ? &reader : nullptr);
}

std::ptrdiff_t Nghttp3Bridge::submit_trailers(quic::StreamId stream,
                                              std::span<const Line> lines) noexcept {
  return nghttp3_conn_submit_trailers(conn_, stream, to_library(lines), lines.size());
}

void Nghttp3Bridge::set_priority(quic::StreamId stream, http::Priority priority) noexcept {
  const nghttp3_pri pri = to_library(priority);
  nghttp3_conn_set_server_stream_priority(conn_, stream, &pri);
}

http::Priority Nghttp3Bridge::priority(quic::StreamId stream) const noexcept {
  http::Priority priority;
  nghttp3_pri pri{};
  if (nghttp3_conn_get_stream_priority(conn_, &pri, stream) == 0) {
    priority.urgency = static_cast<std::uint8_t>(pri.urgency);
    priority.incremental = pri.inc != 0;
  }
  return priority;
}

void Nghttp3Bridge::send_priority_update(quic::StreamId stream,
                                         std::string_view field_value) noexcept {
  nghttp3_conn_set_client_stream_priority(
      conn_, stream, reinterpret_cast<const std::uint8_t*>(field_value.data()), field_value.size());
}

void Nghttp3Bridge::set_max_client_streams(std::uint64_t total) noexcept {
  nghttp3_conn_set_max_client_streams_bidi(conn_, total);
}

void Nghttp3Bridge::submit_shutdown_notice() noexcept {
  TERN_CHECK(nghttp3_conn_submit_shutdown_notice(conn_) == 0);
}

void Nghttp3Bridge::submit_shutdown() noexcept { TERN_CHECK(nghttp3_conn_shutdown(conn_) == 0); }

std::string_view nghttp3_version_text() noexcept { return nghttp3_version(0)->version_str; }

}  // namespace tern::http3
