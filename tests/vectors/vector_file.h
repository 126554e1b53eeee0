#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

/// Test vectors from files under tests/vectors: "name =" lines followed by indented lines of hex
/// digits; "#" begins a comment line. Programs run in the source tree's root (tern_test sees to
/// it).

namespace tern::test {

inline std::vector<std::uint8_t> from_hex(const std::string& digits) {
  if (digits.size() % 2 != 0) throw std::runtime_error("odd number of hex digits: " + digits);
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

class VectorFile {
 public:
  explicit VectorFile(const std::string& path) : path_(path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::string line, name;
    while (std::getline(file, line)) {
      if (line.empty() || line[0] == '#') continue;
      if (line[0] != ' ') {
        name = line.substr(0, line.find(' '));
        digits_[name];
      } else {
        digits_[name] += line.substr(line.find_first_not_of(' '));
      }
    }
  }

  std::vector<std::uint8_t> operator[](const std::string& name) const {
    const auto found = digits_.find(name);
    if (found == digits_.end()) throw std::runtime_error(path_ + " has no " + name);
    return from_hex(found->second);
  }

 private:
  std::string path_;
  std::map<std::string, std::string> digits_;
};

}  // namespace tern::test
