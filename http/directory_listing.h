#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/beneath.h"

namespace tern::http {

/// Names in one listing; the page says when there are more.
inline constexpr std::size_t kMaxListed = 10'000;

/// An HTML page that lists a folder: folders first, then files with size and time, each a link
/// relative to the page. `path` is shown as its title. Names that start with a dot are left out
/// unless `dotfiles`; so is what is neither file, folder nor link.
Result<std::string> directory_listing(FileDescriptor folder, std::string_view path, bool dotfiles);

}  // namespace tern::http
