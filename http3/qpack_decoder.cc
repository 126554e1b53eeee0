#include "http3/qpack_decoder.h"

#include <nghttp3/nghttp3.h>

#include "base/check.h"
#include "http3/prefixed_int.h"

namespace tern::http3 {

namespace {

/// Bytes that wait for the decoder stream; beyond it, nghttp3 has them.
constexpr std::size_t kMaxFeedback = 4096;
constexpr std::uint8_t kAcknowledgment = 0x80;

FieldName name_of(std::int32_t token) noexcept {
  switch (token) {
    case NGHTTP3_QPACK_TOKEN__METHOD: return FieldName::method;
    case NGHTTP3_QPACK_TOKEN__SCHEME: return FieldName::scheme;
    case NGHTTP3_QPACK_TOKEN__AUTHORITY: return FieldName::authority;
    case NGHTTP3_QPACK_TOKEN__PATH: return FieldName::path;
    case NGHTTP3_QPACK_TOKEN__PROTOCOL: return FieldName::protocol;
    case NGHTTP3_QPACK_TOKEN__STATUS: return FieldName::status;
    case NGHTTP3_QPACK_TOKEN_HOST: return FieldName::host;
    case NGHTTP3_QPACK_TOKEN_CONTENT_LENGTH: return FieldName::content_length;
    case NGHTTP3_QPACK_TOKEN_COOKIE: return FieldName::cookie;
    case NGHTTP3_QPACK_TOKEN_PRIORITY: return FieldName::priority;
    case NGHTTP3_QPACK_TOKEN_TE: return FieldName::te;
    case NGHTTP3_QPACK_TOKEN_CONNECTION:
    case NGHTTP3_QPACK_TOKEN_KEEP_ALIVE:
    case NGHTTP3_QPACK_TOKEN_PROXY_CONNECTION:
    case NGHTTP3_QPACK_TOKEN_TRANSFER_ENCODING:
    case NGHTTP3_QPACK_TOKEN_UPGRADE: return FieldName::connection_specific;
    default: return FieldName::other;
  }
}

std::string_view text_of(const nghttp3_rcbuf* buffer) noexcept {
  const nghttp3_vec vec = nghttp3_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(vec.base), vec.len};
}

}  // namespace

void QpackDecoder::Section::end() noexcept {
  if (context_ == nullptr) return;
  nghttp3_qpack_stream_context_del(std::exchange(context_, nullptr));
}

QpackDecoder::QpackDecoder(MemoryPool& pool, const Config& config) : allocator_(pool) {
  // How many streams may wait is counted by whoever holds their bytes.
  constexpr std::size_t kAnyNumber = SIZE_MAX;
  TERN_CHECK(nghttp3_qpack_decoder_new(&decoder_, config.capacity, kAnyNumber,
                                       allocator_.as<nghttp3_mem>()) == 0);
  nghttp3_qpack_decoder_set_max_concurrent_streams(decoder_, config.max_streams);
}

QpackDecoder::~QpackDecoder() {
  release_line();
  nghttp3_qpack_decoder_del(decoder_);
}

void QpackDecoder::release_line() noexcept {
  if (name_ == nullptr) return;
  nghttp3_rcbuf_decref(std::exchange(name_, nullptr));
  nghttp3_rcbuf_decref(std::exchange(value_, nullptr));
}

QpackDecoder::Step QpackDecoder::read(Section& section, quic::StreamId stream, ByteView& bytes,
                                      bool last, FieldLine& line) noexcept {
  release_line();
  if (section.context_ == nullptr) {
    TERN_CHECK(nghttp3_qpack_stream_context_new(&section.context_, stream,
                                                allocator_.as<nghttp3_mem>()) == 0);
  }
  std::uint8_t flags = 0;
  nghttp3_qpack_nv found;
  const nghttp3_ssize taken = nghttp3_qpack_decoder_read_request(
      decoder_, section.context_, &found, &flags, bytes.data(), bytes.size(), last ? 1 : 0);
  if (taken < 0) {
    failure_ = static_cast<int>(taken);
    return Step::failed;
  }
  bytes = bytes.subspan(static_cast<std::size_t>(taken));
  if ((flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) != 0) {
    name_ = found.name;
    value_ = found.value;
    line.name = name_of(found.token);
    line.text = text_of(name_);
    line.value = text_of(value_);
    return Step::line;
  }
  if ((flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED) != 0) return Step::waits;
  if ((flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL) == 0) return Step::more;
  section.end();
  hurry_feedback();  // what comes is not what came before: the peer may want to evict
  return Step::done;
}

bool QpackDecoder::ready(const Section& section) const noexcept {
  return nghttp3_qpack_stream_context_get_ricnt(section.context_) <=
         nghttp3_qpack_decoder_get_icnt(decoder_);
}

bool QpackDecoder::cancel(quic::StreamId stream) noexcept {
  failure_ = nghttp3_qpack_decoder_cancel_stream(decoder_, stream);
  return failure_ == 0;
}

bool QpackDecoder::instructions(ByteView bytes) noexcept {
  ++generation_;
  hurry_feedback();
  const nghttp3_ssize taken =
      nghttp3_qpack_decoder_read_encoder(decoder_, bytes.data(), bytes.size());
  if (taken < 0) failure_ = static_cast<int>(taken);
  return taken >= 0;
}

bool QpackDecoder::skip(quic::StreamId stream, ByteView section) {
  // RFC 9204 §4.5.1: an encoded insert count of 0 says that no entry is referred to.
  if (section[0] == 0) return true;
  if (feedback_.size() > kMaxFeedback) return false;
  // Acknowledgments of one stream's sections go in their order (RFC 9204 §4.4.1).
  gather_feedback();
  const std::size_t before = feedback_.size();
  feedback_.resize(before + kMaxPrefixedInt);
  const std::uint8_t* const end = write_prefixed(feedback_.data() + before, kAcknowledgment, 7,
                                                 static_cast<std::uint64_t>(stream));
  feedback_.resize(static_cast<std::size_t>(end - feedback_.data()));
  ++skipped_;
  return true;
}

bool QpackDecoder::has_feedback() const noexcept {
  return urgent_ || skipped_ >= kDeferred ||
         nghttp3_qpack_decoder_get_decoder_streamlen(decoder_) > 0;
}

Bytes QpackDecoder::take_feedback() {
  gather_feedback();
  urgent_ = false;
  skipped_ = 0;
  return Bytes::take(std::exchange(feedback_, std::vector<std::uint8_t>()));
}

void QpackDecoder::gather_feedback() {
  const std::size_t size = nghttp3_qpack_decoder_get_decoder_streamlen(decoder_);
  if (size == 0) return;
  urgent_ = true;
  const std::size_t before = feedback_.size();
  feedback_.resize(before + size);
  nghttp3_buf buffer{};
  buffer.begin = buffer.pos = buffer.last = feedback_.data() + before;
  buffer.end = feedback_.data() + feedback_.size();
  nghttp3_qpack_decoder_write_decoder(decoder_, &buffer);
  feedback_.resize(static_cast<std::size_t>(buffer.last - feedback_.data()));
}

ErrorCode QpackDecoder::error() const noexcept {
  // A field line above nghttp3's own limits is the peer's doing, not an internal error.
  if (failure_ == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE) return ErrorCode::excessive_load;
  return static_cast<ErrorCode>(nghttp3_err_infer_quic_app_error_code(failure_));
}

}  // namespace tern::http3
