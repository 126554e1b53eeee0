#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "http/fallback/http2_code.h"

namespace tern::fallback {

/// Reads the headers of the frames that come, before nghttp2 has the bytes, however they are cut.
/// It refuses what RFC 9113 and RFC 9218 forbid and nghttp2 lets pass, or refuses without saying
/// which frame it was; bounds the frames of a field section; and counts what is legal but costs us
/// more than the peer. Keeps nothing of the payloads.
class Http2Guard {
 public:
  class Host {
   public:
    /// One more oddity of the peer's; false: one too many.
    virtual bool glitch() noexcept = 0;
    /// Server: the request of an identifier that is too old for `Http2Guard` to remember is open.
    virtual bool is_open(std::int32_t stream) const noexcept = 0;

   protected:
    ~Host() = default;
  };

  static constexpr std::size_t kHeaderSize = 9;

  /// `header`, then the bytes from `begin` to `end` are fine; then the connection ends with `code`,
  /// if it is an error.
  struct Finding {
    /// A frame's header that came in pieces, which are kept back until it is complete: nghttp2
    /// 1.52 with Debian's patches counts the calls in which a CONTINUATION comes as frames.
    std::array<std::uint8_t, kHeaderSize> header{};
    bool has_header = false;
    std::size_t begin = 0;
    std::size_t end = 0;
    Http2Code code = Http2Code::no_error;
    std::string reason;          ///< for people: the frame, its stream, the rule
    bool continuations = false;  ///< it was their number
    bool glitch = false;         ///< one oddity too many; `reason` is the last one
  };

  Http2Guard(Host& host, bool server, std::size_t max_continuations,
             std::uint32_t max_frame) noexcept
      : host_(host),
        max_continuations_(max_continuations),
        max_frame_(max_frame),
        server_(server),
        preface_left_(server ? kHttp2Preface.size() : 0) {}

  Finding inspect(ByteView bytes) noexcept;

  /// Server: what became of a request. Frames for one that is over are the peer's fault, unless we
  /// have reset it: then they were on the way (RFC 9113 §5.1).
  void ended(std::int32_t stream) noexcept { mark(stream, Mark::ended); }
  void reset(std::int32_t stream) noexcept { mark(stream, Mark::reset); }
  /// Client: a request of ours has opened it.
  void sent(std::int32_t stream) noexcept { highest_ = std::max(highest_, stream); }
  /// We have given the peer reason for so many WINDOW_UPDATE and PING frames: gRPC measures the
  /// bandwidth by a PING for what it receives, as many as there are round trips meanwhile.
  void expect_replies(std::uint32_t count) noexcept {
    replies_ = std::min(replies_ + count, kMaxReplies);
  }

  /// In mid-section: HEADERS or CONTINUATION have begun and the section has not ended.
  bool in_section() const noexcept { return section_; }

 private:
  /// `whole`: open, and the request has ended.
  enum class Mark : std::uint8_t { unused, open, whole, ended, reset };

  /// Requests whose fate is remembered, counted back from the newest.
  static constexpr std::int32_t kRemembered = 256;
  static constexpr std::uint32_t kMaxReplies = 10'000;

  bool judge(Finding& finding) noexcept;
  bool judge_place(Finding& finding) noexcept;
  bool judge_idle(Finding& finding) noexcept;
  bool judge_size(Finding& finding) noexcept;
  bool judge_stream(Finding& finding) noexcept;
  bool judge_padding(Finding& finding, std::uint8_t padding) noexcept;
  bool judge_prefix(Finding& finding) noexcept;
  std::string frame() const;
  bool odd(Finding& finding) noexcept;
  void opened(std::int32_t stream) noexcept;
  bool remembered(std::int32_t stream) const noexcept {
    return stream <= highest_ && stream > highest_ - 2 * kRemembered;
  }
  Mark& at(std::int32_t stream) noexcept {
    return marks_[static_cast<std::size_t>(stream / 2 % kRemembered)];
  }
  void mark(std::int32_t stream, Mark mark) noexcept {
    if (server_ && (stream & 1) != 0 && remembered(stream)) at(stream) = mark;
  }

  Host& host_;
  std::size_t max_continuations_;
  std::uint32_t max_frame_;
  bool server_;
  std::size_t preface_left_;
  std::array<std::uint8_t, kHeaderSize> header_{};
  std::size_t have_ = 0;  // bytes of the header, kept back
  std::uint32_t length_ = 0;
  std::uint32_t payload_left_ = 0;
  std::int32_t stream_ = 0;
  std::uint8_t type_ = 0;
  std::uint8_t flags_ = 0;
  std::uint32_t prefix_ = 0;  // the first four bytes of the payload
  std::int32_t section_stream_ = 0;
  bool section_ = false;
  bool section_ends_ = false;  // with the frame at hand
  std::size_t continuations_ = 0;
  std::uint32_t replies_ = 100;
  std::int32_t highest_ = -1;  // of the requests' streams
  std::array<Mark, kRemembered> marks_{};
};

}  // namespace tern::fallback
