#include "tools/tern/config_file.h"

#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/temporary_folder.h"
#include "tools/tern/exit_code.h"

namespace tern::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string config_refusal(std::string_view text) {
  try {
    parse_config(text, "x.toml");
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::usage);
    return failure.message;
  }
  return "accepted";
}

TEST(ConfigFile, ReadsStringsNumbersBooleansAndLists) {
  const auto entries = parse_config(
      "# a server\r\n"
      "listen = \":4433\"  # any address\n"
      "\n"
      "workers=2\n"
      "  retry = true\n"
      "cert = [ \"a.pem\", # first\n"
      "         'b #\\.pem',\n"
      "       ]\n"
      "cache-control = \"say \\\"hi\\\"\\t\\\\\"\n"
      "none = []",
      "x.toml");
  ASSERT_EQ(entries.size(), 6U);
  EXPECT_EQ(entries[0].key, "listen");
  EXPECT_THAT(entries[0].values, ElementsAre(":4433"));
  EXPECT_EQ(entries[0].line, 2U);
  EXPECT_EQ(entries[1].kind, ConfigEntry::Kind::number);
  EXPECT_THAT(entries[1].values, ElementsAre("2"));
  EXPECT_EQ(entries[2].kind, ConfigEntry::Kind::boolean);
  EXPECT_THAT(entries[2].values, ElementsAre("true"));
  EXPECT_EQ(entries[3].kind, ConfigEntry::Kind::list);
  EXPECT_THAT(entries[3].values, ElementsAre("a.pem", "b #\\.pem"));
  EXPECT_EQ(entries[3].line, 6U);
  EXPECT_THAT(entries[4].values, ElementsAre("say \"hi\"\t\\"));
  EXPECT_EQ(entries[4].line, 9U);
  EXPECT_THAT(entries[5].values, IsEmpty());
  EXPECT_THAT(parse_config("cert = 'schlüssel.pem'", "x.toml")[0].values,
              ElementsAre("schlüssel.pem"));
  EXPECT_THAT(parse_config("", "x.toml"), IsEmpty());
  EXPECT_THAT(parse_config("# nothing\n\n", "x.toml"), IsEmpty());
}

TEST(ConfigFile, SaysWhereItIsWrong) {
  EXPECT_THAT(config_refusal("a = 1\nlisten :4433\n"), HasSubstr("x.toml:2: "));
  EXPECT_THAT(config_refusal("\n\n[server]\nlisten = 1"),
              HasSubstr("x.toml:3: there are no tables"));
  EXPECT_THAT(config_refusal("a = 1\nb.c = 2"), HasSubstr("x.toml:2: there are no tables"));
  EXPECT_THAT(config_refusal("a = 1\nb = 2\na = 3"), HasSubstr("x.toml:3: "));
  EXPECT_THAT(config_refusal("a = \"open\nb = 1"), HasSubstr("x.toml:1: "));
  EXPECT_THAT(config_refusal("b = 1\na = yes"), HasSubstr("x.toml:2: "));
  EXPECT_THAT(config_refusal("a = 1 b = 2"), HasSubstr("x.toml:1: "));
  EXPECT_THAT(config_refusal("a = [1, 2"), HasSubstr("x.toml:1: "));
  EXPECT_THAT(config_refusal("a = [\n1,\ntrue]"), HasSubstr("x.toml:3: a list has strings"));
  EXPECT_THAT(config_refusal("a = 1\nb = ü"),
              HasSubstr("x.toml:2: only strings and comments may have"));
  EXPECT_THAT(config_refusal("\xcf\xa4[at]\n"), HasSubstr("x.toml:1: only strings and comments"));
  EXPECT_THAT(config_refusal("a = 2026-11-22"), HasSubstr("x.toml:1: 'a' wants a string"));
}

/// Options of each sort, and a file for them.
class ApplyConfigTest : public testing::Test {
 protected:
  ApplyConfigTest() {
    verb = app.add_subcommand("serve", "");
    verb->set_help_flag("-h,--help", "");
    verb->add_option("DIR", dir, "");
    verb->add_option("-l,--listen", listen, "")->allow_extra_args(false);
    verb->add_option("--workers", workers, "")->check(CLI::Range(0, 256));
    verb->add_flag("--retry", retry, "");
    verb->add_option("--config", config, "");
    verb->callback([this] { apply_config(*verb, config); });
  }

  /// The refusal, or nothing.
  std::string run(const std::string& text, std::vector<std::string> arguments = {}) {
    const std::string path = folder.write("x.toml", text);
    arguments.insert(arguments.begin(), {"serve", "--config", path});
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    try {
      app.parse(arguments);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code, ExitCode::usage);
      return failure.message;
    }
    return {};
  }

  test::TemporaryFolder folder;
  CLI::App app;
  CLI::App* verb;
  std::string config;
  std::string dir;
  std::vector<std::string> listen;
  int workers = 1;
  bool retry = false;
};

TEST_F(ApplyConfigTest, GivesOptionsTheirValues) {
  EXPECT_EQ(run("dir = \"public\"\nlisten = [\":1\", \":2\"]\nworkers = 3\nretry = true\n"), "");
  EXPECT_EQ(dir, "public");
  EXPECT_THAT(listen, ElementsAre(":1", ":2"));
  EXPECT_EQ(workers, 3);
  EXPECT_TRUE(retry);
}

TEST_F(ApplyConfigTest, OneValueDoesForAListAndFalseIsTheDefault) {
  EXPECT_EQ(run("listen = \":1\"\nretry = false\n"), "");
  EXPECT_THAT(listen, ElementsAre(":1"));
  EXPECT_FALSE(retry);
}

TEST_F(ApplyConfigTest, TheCommandLineOverridesIt) {
  EXPECT_EQ(run("dir = \"public\"\nlisten = [\":1\", \":2\"]\nworkers = 3\n",
                {"elsewhere", "--workers", "7"}),
            "");
  EXPECT_EQ(dir, "elsewhere");
  EXPECT_EQ(workers, 7);
  EXPECT_THAT(listen, ElementsAre(":1", ":2"));
}

TEST_F(ApplyConfigTest, WhatDoesNotFitNamesFileAndLine) {
  const std::string at = folder / "x.toml:2: ";
  EXPECT_THAT(run("# \nlisten-on = 1\n"), HasSubstr(at + "unknown key 'listen-on'"));
  EXPECT_THAT(run("# \nconfig = \"y\"\n"), HasSubstr(at + "unknown key 'config'"));
  EXPECT_THAT(run("# \nhelp = true\n"), HasSubstr(at + "unknown key 'help'"));
  EXPECT_THAT(run("# \nworkers = 1000\n"), HasSubstr(at));
  EXPECT_THAT(run("# \nworkers = \"many\"\n"), HasSubstr(at));
  EXPECT_THAT(run("# \nworkers = [1, 2]\n"), HasSubstr(at + "'workers' takes one value"));
  EXPECT_THAT(run("# \nworkers = true\n"), HasSubstr(at + "'workers' wants a value"));
  EXPECT_THAT(run("# \nretry = \"yes\"\n"), HasSubstr(at + "'retry' is true or false"));
}

TEST_F(ApplyConfigTest, AFileThatIsNotThere) {
  std::vector<std::string> arguments{folder / "nothing.toml", "--config", "serve"};
  try {
    app.parse(arguments);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.message, HasSubstr("nothing.toml: No such file"));
  }
}

}  // namespace
}  // namespace tern::cli
