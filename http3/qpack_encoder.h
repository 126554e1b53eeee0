#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/fields.h"
#include "http/message.h"
#include "http3/prefixed_int.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// QPACK's encoder for one connection (RFC 9204): field lines into HEADERS frames, and the
/// instructions that keep the peer's dynamic table as ours.
///
/// Lines whose name is in the static table are inserted, but for those whose values change from
/// message to message (:path, etag, content-length, …). An entry is referred to once the peer has
/// acknowledged it, or, as far as it lets streams wait, at once. Entries about to be evicted are
/// duplicated instead, so that no reference holds the table up. Messages whose fields are copies of
/// the same `http::Fields` (and requests that are alike but for that) are encoded once and then
/// recalled as long as what they refer to is there.
class QpackEncoder {
 public:
  /// Sections that refer to the table and that the peer has not acknowledged. Beyond it none does.
  static constexpr std::size_t kMaxOutstanding = 512;
  /// Instructions that wait for the encoder stream. Beyond it nothing is inserted.
  static constexpr std::size_t kMaxInstructions = 2048;
  /// Bytes of the peer's decoder stream between two sections of ours: more mean no good.
  static constexpr std::size_t kMaxFeedback = 4096;

  /// A table of at most `max_capacity` bytes. `scratch`: room for the section being encoded, which
  /// encoders may share; it outlives this.
  QpackEncoder(std::size_t max_capacity, std::vector<std::uint8_t>& scratch) noexcept
      : max_capacity_(max_capacity), scratch_(scratch) {}

  /// The peer's SETTINGS. Once; before, the table is not used.
  void set_peer(std::uint64_t max_capacity, std::uint64_t blocked_streams) noexcept;

  /// One field section after the other: `begin`, `add` for each line (its name in lower case),
  /// then `finish`, which returns the HEADERS frame. Valid until the next `begin` of any encoder
  /// with that scratch.
  void begin(quic::StreamId stream) noexcept;
  void add(std::string_view name, std::string_view value);
  ByteView finish();

  /// The HEADERS frame of a response with that status and fields (0: of trailers), if it was
  /// remembered, as if it were encoded for `stream` now; empty if not, or if a shorter one is
  /// possible by now. Valid until the next call.
  ByteView recall(quic::StreamId stream, int status, const http::Fields& fields);
  /// The frame that `finish` has just returned is that response's. Kept from the second time on:
  /// then these fields were prepared, and more will ask for it.
  void remember(int status, const http::Fields& fields);
  /// The same for a request whose lines are these alone. From the second time on its path and lines
  /// with other names go into the table, too: they are asked for again and again.
  ByteView recall(quic::StreamId stream, const http::RequestHead& head);
  void remember(const http::RequestHead& head);

  /// What the encoder stream has to carry next.
  bool has_instructions() const noexcept { return !instructions_.empty(); }
  Bytes take_instructions();

  /// Bytes of the peer's decoder stream. False: QPACK_DECODER_STREAM_ERROR.
  bool read(ByteView bytes) noexcept;

  // For tests.
  std::size_t entries() const noexcept { return entries_.size(); }
  std::uint64_t inserted() const noexcept { return first_ + entries_.size(); }
  std::uint64_t known_received() const noexcept { return known_received_; }
  std::size_t outstanding() const noexcept { return outstanding_.size() - outstanding_front_; }

 private:
  static constexpr std::uint64_t kNoEntry = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::size_t kEntryOverhead = 32;
  static constexpr std::size_t kRemembered = 2;
  static constexpr std::size_t kRememberedRequests = 8;

  struct Entry {
    std::uint32_t hash;
    std::uint32_t name_size;
    std::string text;  // name and value
    std::size_t size() const noexcept { return text.size() + kEntryOverhead; }
  };
  /// What a section refers to.
  struct References {
    std::uint64_t required = 0;  // insert count
    std::uint64_t oldest = kNoEntry;
  };
  struct Outstanding {
    quic::StreamId stream;  // -1: acknowledged
    References references;
  };
  struct Remembered {
    http::Fields fields;  // a share of them: they cannot change
    int status = 0;
    bool final = false;  // nothing will make it shorter but another table
    std::uint64_t known_received = 0;
    References references;
    std::vector<std::uint8_t> frame;
  };
  struct RememberedRequest : Remembered {
    std::string method, scheme, authority, path;
    bool is(const http::RequestHead& head) const noexcept;
  };
  /// What was sent, and not remembered: its fields, and what else distinguishes it.
  struct Asked {
    http::Fields fields;
    std::size_t key;
  };

  std::uint64_t find(std::uint32_t hash, std::string_view name,
                     std::string_view value) const noexcept;
  ByteView recall(quic::StreamId stream, const Remembered& kept);
  static bool asked_before(const std::vector<Asked>& asked, const http::Fields& fields,
                           std::size_t key) noexcept;
  bool may_remember() const noexcept;
  void fill(Remembered& kept, const http::Fields& fields) const;
  bool worth_inserting(std::string_view name, std::string_view value,
                       int static_name) const noexcept;
  bool make_room(std::size_t size);
  void insert(std::uint32_t hash, std::string_view name, std::string_view value, int static_name);
  void duplicate(std::uint64_t entry);
  void place(Entry entry);
  void note_draining() noexcept;
  bool may_refer(std::uint64_t entry) const noexcept;
  void refer(std::uint64_t entry);
  void literal(std::string_view name, std::string_view value, int static_name);
  std::uint8_t* room(std::size_t size);
  bool keep_outstanding(quic::StreamId stream, const References& references);
  bool acknowledge(quic::StreamId stream) noexcept;
  void cancel(quic::StreamId stream) noexcept;
  void drop_acknowledged() noexcept;
  bool instruction(std::uint8_t first, std::uint64_t number) noexcept;

  std::size_t max_capacity_;
  std::vector<std::uint8_t>& scratch_;
  std::size_t capacity_ = 0;
  std::uint64_t max_entries_ = 0;  // RFC 9204 §4.5.1.1: of the largest table the peer allows
  std::size_t blocked_streams_ = 0;

  std::vector<Entry> entries_;  // the oldest first
  std::uint64_t first_ = 0;     // absolute index of entries_[0]
  std::size_t size_ = 0;
  std::uint64_t draining_ = 0;  // entries below are not referred to any more
  std::uint64_t known_received_ = 0;
  std::vector<Outstanding> outstanding_;
  std::size_t outstanding_front_ = 0;
  std::vector<std::uint8_t> instructions_;
  std::vector<Remembered> remembered_;  // at most kRemembered
  std::size_t next_remembered_ = 0;
  std::vector<Asked> asked_;  // the last few, at most kRemembered
  std::size_t next_asked_ = 0;
  std::vector<RememberedRequest> remembered_requests_;  // at most kRememberedRequests
  std::size_t next_request_ = 0;
  std::vector<Asked> asked_requests_;  // at most as many
  std::size_t next_asked_request_ = 0;
  bool repeats_ = false;  // the request being encoded is like one of them
  bool capacity_sent_ = false;

  // The section being encoded.
  quic::StreamId stream_ = -1;
  std::size_t end_ = 0;  // of what is in scratch_
  std::size_t start_ = 0;
  std::uint64_t base_ = 0;
  References references_;
  bool may_block_ = false;
  bool use_table_ = false;
  bool final_ = false;

  // The decoder stream.
  PrefixedIntReader number_;
  std::uint8_t opcode_ = 0;
  bool in_instruction_ = false;
  std::size_t feedback_ = 0;
};

}  // namespace tern::http3
