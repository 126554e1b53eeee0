#include "tools/handoff/transfer.h"

#include "tools/handoff/body.h"

namespace tern::handoff {

bool Transfer::deliver(Duration now, ByteView piece) {
  if (piece.size() > size_ - delivered_ || !is_body(id_, delivered_, piece)) return false;
  note_gap(now);
  delivered_ += piece.size();
  return true;
}

void Transfer::note_gap(Duration now) {
  const Duration gap = delivered_ == 0 ? Duration::zero() : now - last_;
  if (gap > longest_stall_) {
    longest_stall_ = gap;
    longest_stall_at_ = last_;
  }
  if (gap >= kNoticeable) stalled_ += gap;
  last_ = now;
}

std::string_view name(Transfer::Kind kind) noexcept {
  switch (kind) {
    case Transfer::Kind::download: return "download";
    case Transfer::Kind::upload: return "upload";
    case Transfer::Kind::request: return "request";
  }
  return "";
}

}  // namespace tern::handoff
