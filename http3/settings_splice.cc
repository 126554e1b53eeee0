#include "http3/settings_splice.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "http3/frame_walker.h"

namespace tern::http3 {

void SettingsSplice::begin(std::vector<std::uint8_t> own) noexcept {
  own_ = std::move(own);
  theirs_ = sent_ = acked_ = 0;
}

std::size_t SettingsSplice::rewrite(quic::Vec* vecs, std::size_t count,
                                    std::size_t capacity) noexcept {
  if (count == 0 || sent_ == own_.size()) return count;
  if (theirs_ == 0) {
    // nghttp3 writes the stream's type and SETTINGS into one piece of memory.
    const ByteView first(vecs[0].data, vecs[0].size);
    TERN_CHECK(first.size() > 2 && first[0] == kStreamControl && first[1] == kFrameSettings);
    const auto length = read_varint(first.subspan(2));
    TERN_CHECK(length.has_value());
    theirs_ = 2 + length->size + static_cast<std::size_t>(length->value);
    TERN_CHECK(theirs_ <= first.size());
  }
  // Until all of ours is sent nghttp3 believes that nothing is, and offers its own again.
  if (vecs[0].size > theirs_) {
    if (count == capacity) --count;  // offered again later
    std::copy_backward(vecs + 1, vecs + count, vecs + count + 1);
    vecs[1] = {vecs[0].data + theirs_, vecs[0].size - theirs_};
    ++count;
  }
  vecs[0] = {own_.data() + sent_, own_.size() - sent_};
  return count;
}

std::size_t SettingsSplice::translate(std::size_t count, std::size_t& position) const noexcept {
  if (position == own_.size()) return count;
  const std::size_t ours = std::min(count, own_.size() - position);
  position += ours;
  return position == own_.size() ? theirs_ + (count - ours) : 0;
}

}  // namespace tern::http3
