#include "tools/tern/input_file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

Result<std::string> read_all(int file, const std::string& name, std::size_t most) {
  std::string text;
  std::array<char, 64 * 1024> block;
  for (;;) {
    const ssize_t count = ::read(file, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Error::os(errno, "cannot read " + name));
    if (count == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > most) return fail(Error::limit(name + " has more than " + human_bytes(most)));
  }
}

}  // namespace

Result<std::string> read_input(const std::string& path, std::size_t most) {
  if (path == "-") return read_all(STDIN_FILENO, "stdin", most);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(Error::os(errno, "cannot read " + path));
  Result<std::string> text = read_all(file, path, most);
  ::close(file);
  return text;
}

}  // namespace tern::cli
