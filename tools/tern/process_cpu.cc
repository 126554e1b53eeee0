#include "tools/tern/process_cpu.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace tern::cli {
namespace {

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

constexpr std::string_view kListening = "0A";  // TCP_LISTEN, as /proc/net/tcp writes it

/// Inodes of the sockets that /proc/net/udp, tcp or their IPv6 twins show on that local port, in
/// that state unless it is empty.
void add_inodes(const std::string& table, std::uint16_t port, std::string_view state,
                std::set<std::string>& inodes) {
  std::istringstream lines(text_of_file(table));
  std::string line;
  std::getline(lines, line);  // the header
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::vector<std::string> columns{std::istream_iterator<std::string>(words), {}};
    if (columns.size() < 10 || (!state.empty() && columns[3] != state)) continue;
    const std::string& local = columns[1];  // "0100007F:1151"
    const std::size_t colon = local.find(':');
    unsigned found = 0;
    if (colon == std::string::npos) continue;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), found, 16);
    if (found == port) inodes.insert(columns[9]);
  }
}

bool holds_one_of(const std::filesystem::path& process, const std::set<std::string>& inodes) {
  std::error_code failed;
  for (std::filesystem::directory_iterator fd(process / "fd", failed), end; !failed && fd != end;
       fd.increment(failed)) {
    std::error_code unreadable;
    const std::string target = std::filesystem::read_symlink(fd->path(), unreadable).string();
    constexpr std::string_view kPrefix = "socket:[";
    if (!unreadable && target.starts_with(kPrefix) &&
        inodes.count(target.substr(kPrefix.size(), target.size() - kPrefix.size() - 1)) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<ProcessUse> process_use(pid_t pid) {
  const std::string stat = text_of_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream words(stat.substr(name_end + 1));
  std::vector<std::string> columns{std::istream_iterator<std::string>(words), {}};
  // Of proc(5), counted from the state, field 3: rss 24. The times in there count hundredths of a
  // second, which is too coarse for a short run.
  constexpr std::size_t kResident = 24 - 3;
  clockid_t clock{};
  timespec used{};
  if (columns.size() <= kResident || ::clock_getcpuclockid(pid, &clock) != 0 ||
      ::clock_gettime(clock, &used) != 0) {
    return std::nullopt;
  }
  std::uint64_t pages = 0;
  const std::string& resident = columns[kResident];
  std::from_chars(resident.data(), resident.data() + resident.size(), pages);
  return ProcessUse{std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec),
                    pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))};
}

std::optional<pid_t> owner_of_port(PortKind kind, std::uint16_t port) {
  std::set<std::string> inodes;
  for (const std::string_view family : {"", "6"}) {
    if (kind == PortKind::udp) {
      add_inodes(fmt::format("/proc/net/udp{}", family), port, "", inodes);
    } else {
      add_inodes(fmt::format("/proc/net/tcp{}", family), port, kListening, inodes);
    }
  }
  if (inodes.empty()) return std::nullopt;
  std::optional<pid_t> owner;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry("/proc", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    pid_t pid = 0;
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || rest != name.data() + name.size()) continue;
    if ((!owner || pid < *owner) && holds_one_of(entry->path(), inodes)) owner = pid;
  }
  return owner;
}

}  // namespace tern::cli
