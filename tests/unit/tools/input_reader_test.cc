#include "tools/tern/input_reader.h"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/driver.h"
#include "base/runtime.h"

namespace tern::cli {
namespace {

/// Whose wait ends with the next `wake`, and says how many there were.
class WakingDriver final : public Driver {
 public:
  Timestamp now() override { return Timestamp(std::chrono::seconds(1)); }
  UnixSeconds unix_seconds() override { return 1'700'000'000; }
  Random::Key random_key() override { return Random::Key{1}; }
  Duration wait(Timestamp deadline) override {
    if (deadline > now()) wait_for(seen_ + 1);
    seen_ = wakes_.load();
    return {};
  }
  void reap(Timestamp) override {}
  void wake() noexcept override {
    ++wakes_;
    wakes_.notify_all();
  }
  void wait_for(int count) {
    for (int now = wakes_.load(); now < count; now = wakes_.load()) wakes_.wait(now);
  }

 private:
  std::atomic<int> wakes_{0};
  int seen_ = 0;
};

/// Stdin is a pipe that the test writes.
class InputReaderTest : public ::testing::Test {
 protected:
  InputReaderTest() : before_(::dup(STDIN_FILENO)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    EXPECT_EQ(::dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ::close(ends[0]);
    write_end_ = ends[1];
  }
  ~InputReaderTest() override {
    end();
    ::dup2(before_, STDIN_FILENO);
    ::close(before_);
  }
  void type(std::string_view text) {
    EXPECT_EQ(::write(write_end_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (write_end_ >= 0) ::close(std::exchange(write_end_, -1));
  }

  WakingDriver driver_;
  Runtime runtime_{driver_};

 private:
  int before_;
  int write_end_ = -1;
};

Task<void> read_all(InputReader& reader, std::vector<std::string>& pieces, bool& ended) {
  for (;;) {
    std::optional<std::string> piece = co_await reader.next();
    if (!piece) break;
    pieces.push_back(std::move(*piece));
  }
  ended = true;
}

TEST_F(InputReaderTest, GivesLinesAndALastOneWithoutEnd) {
  std::vector<std::string> pieces;
  bool ended = false;
  InputReader reader(runtime_, InputReader::Pieces::lines);
  runtime_.spawn(read_all(reader, pieces, ended));
  type("one\n\ntw");
  type("o\nthree");
  end();
  while (!ended) runtime_.turn();
  EXPECT_THAT(pieces, ::testing::ElementsAre("one", "", "two", "three"));
}

TEST_F(InputReaderTest, KeepsWhatCameBeforeItIsAskedFor) {
  InputReader reader(runtime_, InputReader::Pieces::lines);
  type("one\ntwo\n");
  driver_.wait_for(1);
  runtime_.turn();  // a piece is at hand, and nobody takes it
  std::vector<std::string> pieces;
  bool ended = false;
  runtime_.spawn(read_all(reader, pieces, ended));
  end();
  while (!ended) runtime_.turn();
  EXPECT_THAT(pieces, ::testing::ElementsAre("one", "two"));
}

TEST_F(InputReaderTest, MayGoWhileAPieceIsOnItsWay) {
  auto reader = std::make_unique<InputReader>(runtime_, InputReader::Pieces::lines);
  type("one\n");
  driver_.wait_for(1);  // its thread has handed it over, and the runtime has not looked yet
  reader.reset();
  runtime_.turn();
}

}  // namespace
}  // namespace tern::cli
