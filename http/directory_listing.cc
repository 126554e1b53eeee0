#include "http/directory_listing.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <vector>

#include "http/date.h"
#include "http/escape.h"

namespace tern::http {

namespace {

struct Listed {
  std::string name;
  bool folder = false;
  bool file = false;  // neither: a link, whose target is not looked at
  std::uint64_t size = 0;
  UnixSeconds modified = 0;
};

constexpr std::string_view kHead =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    ":root { color-scheme: light dark }\n"
    "body { font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; "
    "padding: 0 1rem }\n"
    "h1 { font-size: 1.2rem; overflow-wrap: anywhere }\n"
    "table { border-collapse: collapse; width: 100% }\n"
    "td { padding: .1rem 1rem .1rem 0; white-space: nowrap }\n"
    "td:first-child { white-space: normal; overflow-wrap: anywhere; width: 100% }\n"
    "td + td { color: GrayText; font-variant-numeric: tabular-nums; text-align: right }\n"
    "a { text-decoration: none } a:hover { text-decoration: underline }\n"
    "</style>\n";

/// "1.4 MB"
std::string readable_size(std::uint64_t size) {
  constexpr std::array<std::string_view, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  if (size < 1000) return std::to_string(size) + " B";
  std::uint64_t tenths = size / 100;
  std::size_t unit = 0;
  while (tenths >= 10'000 && unit + 1 < kUnits.size()) {
    tenths /= 1000;
    ++unit;
  }
  std::string text = std::to_string(tenths / 10);
  if (tenths < 100) text.append(".").append(std::to_string(tenths % 10));
  return text.append(" ").append(kUnits[unit]);
}

void append_row(std::string& page, const Listed& entry) {
  page.append("<tr><td><a href=\"./");
  append_percent_encoded(page, entry.name);
  if (entry.folder) page.push_back('/');
  page.append("\">");
  append_html_escaped(page, entry.name);
  if (entry.folder) page.push_back('/');
  page.append("</a></td><td>");
  if (entry.file) page.append(readable_size(entry.size));
  page.append("</td><td>");
  if (entry.file || entry.folder) {
    const Rfc3339 time(entry.modified);
    page.append(time.view().substr(0, 10)).append(" ").append(time.view().substr(11, 5));
  }
  page.append("</td></tr>\n");
}

}  // namespace

Result<std::string> directory_listing(FileDescriptor folder, std::string_view path, bool dotfiles) {
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(folder.number()), close);
  if (!stream) return fail(Error::os(errno, "list a folder"));
  const int number = folder.release();  // the stream's now

  std::vector<Listed> entries;
  std::size_t left_out = 0;
  while (const dirent* found = ::readdir(stream.get())) {
    Listed entry;
    entry.name = found->d_name;
    if (entry.name == "." || entry.name == ".." || (!dotfiles && entry.name[0] == '.')) continue;
    if (entries.size() == kMaxListed) {
      ++left_out;
      continue;
    }
    struct stat status{};
    if (::fstatat(number, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    entry.folder = S_ISDIR(status.st_mode);
    entry.file = S_ISREG(status.st_mode);
    if (!entry.folder && !entry.file && !S_ISLNK(status.st_mode)) continue;
    entry.size = static_cast<std::uint64_t>(status.st_size);
    entry.modified = status.st_mtim.tv_sec;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Listed& a, const Listed& b) {
    return a.folder != b.folder ? a.folder : a.name < b.name;
  });

  std::string page(kHead);
  page.append("<title>");
  append_html_escaped(page, path);
  page.append("</title></head><body><h1>");
  append_html_escaped(page, path);
  page.append("</h1><table>\n");
  if (path != "/") page.append("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
  for (const Listed& entry : entries) append_row(page, entry);
  page.append("</table>");
  if (left_out > 0) page.append("<p>… and " + std::to_string(left_out) + " more</p>");
  page.append("</body></html>\n");
  return page;
}

}  // namespace tern::http
