// Which cgroups are tasks, their names, and what is reported about cgroups that cannot be opened.
#include "daemon/run/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/run/model_host.hpp"

namespace sluice::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

config::Task unit(const std::string& pattern, const std::string& name = "") {
  config::Task rule;
  rule.match_unit = pattern;
  rule.name = name;
  return rule;
}

config::Config with(std::vector<config::Task> rules) {
  config::Config config;
  config.tasks = std::move(rules);
  return config;
}

TEST(Names, ARuleOfOneUnitNamesItAndARuleOfManyNamesEach) {
  EXPECT_EQ(task_name(unit("web.service", "site"), "/system.slice/web.service"), "site");
  for (const char* many : {"web-*.service", "web-?.service", "web-[0-9].service"})
    EXPECT_EQ(task_name(unit(many, "site"), "/system.slice/web-1.service"), "site@web-1") << many;
  EXPECT_EQ(task_name(unit("web.service"), "/system.slice/web.service"), "web");
  EXPECT_EQ(task_name(unit("web.scope"), "/user.slice/web.scope"), "web");
  EXPECT_EQ(task_name(unit("web.slice"), "/web.slice"), "web");
}

TEST(Names, TheFirstRuleThatMatchesGoverns) {
  const auto config = with({unit("a.service"), unit("*.service"), unit("a*.service")});
  EXPECT_EQ(first_match(config, "/system.slice/a.service"), 0U);
  EXPECT_EQ(first_match(config, "/system.slice/ab.service"), 1U);
  EXPECT_EQ(first_match(config, "/system.slice/a.scope"), std::nullopt);
}

class Registries : public ::testing::Test {
 protected:
  std::vector<std::string> rescan() { return registry.rescan(host, config, owners).problems; }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [id, facts] : registry.tasks()) out.push_back(facts.name);
    return out;
  }

  ModelHost host;
  config::Config config = with({unit("a.service"), unit("b.service")});
  NameOwners owners;
  Registry registry;
};

TEST_F(Registries, WhatNoRuleMatchesIsLeftAlone) {
  host.add("/system.slice/a.service");
  host.add("/system.slice/other.service");
  EXPECT_THAT(rescan(), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_THAT(host.opened, SizeIs(1));
  EXPECT_EQ(registry.tasks().begin()->second.config_index, 0U);
}

TEST_F(Registries, EachIsOpenedOnce) {
  host.add("/system.slice/a.service");
  for (int i = 0; i < 3; ++i) rescan();
  EXPECT_EQ(host.opens, 1U);
}

TEST_F(Registries, OneThatEndsBetweenWalkAndOpenIsNoProblem) {
  host.ghost = cgroups::Found{"/system.slice/a.service", CgroupId{7}};
  EXPECT_THAT(rescan(), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Registries, WhatCannotBeOpenedIsReportedOnceWhileItLastsAndTriedAgain) {
  host.add("/system.slice/a.service");
  host.open_fails = true;
  EXPECT_THAT(rescan(), ElementsAre(HasSubstr("cannot be governed")));
  EXPECT_THAT(rescan(), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
  host.open_fails = false;
  EXPECT_THAT(rescan(), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("a"));
  // Another one, later.
  host.add("/system.slice/b.service");
  host.open_fails = true;
  EXPECT_THAT(rescan(), ElementsAre(HasSubstr("b.service")));
}

TEST_F(Registries, AProblemThatComesBackIsReportedAgain) {
  host.add("/system.slice/a.service");
  for (int i = 0; i < 2; ++i) {
    host.hidden = "/system.slice";
    EXPECT_THAT(rescan(), ElementsAre(HasSubstr("Not everything was walked")));
    EXPECT_THAT(rescan(), IsEmpty());
    host.hidden.clear();
    EXPECT_THAT(rescan(), IsEmpty());
    host.walk_fails = true;
    EXPECT_THAT(rescan(), ElementsAre(HasSubstr("could not be walked")));
    host.walk_fails = false;
    EXPECT_THAT(rescan(), IsEmpty());
  }
}

TEST_F(Registries, WhatWasInheritedIsKeptUntilItIsKnownToBeGone) {
  host.add("/system.slice/x.service");
  const auto id = host.groups.begin()->first;
  registry.inherit(id, "/system.slice/x.service");
  host.hidden = "/system.slice/x.service";
  host.open_fails = true;
  rescan();
  EXPECT_THAT(names(), ElementsAre("x")) << "it cannot be reached, and that is all that is known";
  host.open_fails = false;
  rescan();
  EXPECT_TRUE(host.opened.contains(id));
  host.groups.clear();
  host.hidden.clear();
  rescan();
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Registries, AnInheritedLimitOfACgroupThatIsGoneIsForgotten) {
  registry.inherit(CgroupId{7}, "/system.slice/x.service");
  EXPECT_THAT(rescan(), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Registries, ANewConfigurationRenamesAndFreesTheOldName) {
  host.add("/system.slice/a.service");
  host.add("/system.slice/b.service");
  rescan();
  EXPECT_THAT(names(), ElementsAre("a", "b"));
  config = with({unit("a.service", "x"), unit("b.service")});
  rescan();
  EXPECT_THAT(names(), ElementsAre("x", "b"));
  config = with({unit("a.service", "x"), unit("b.service", "a")});
  rescan();
  EXPECT_THAT(names(), ElementsAre("x", "a"));
}

TEST_F(Registries, ANameGoesToWhoHadItNotToAnybodyOfThatName) {
  host.add("/other.slice/b.service");
  host.add("/system.slice/b.service");
  owners["b"] = "/system.slice/b.service";
  rescan();
  EXPECT_EQ(registry.tasks().rbegin()->second.name, "b");
  EXPECT_EQ(registry.tasks().begin()->second.name, "/other.slice/b.service") << "all of its path";
}

}  // namespace
}  // namespace sluice::testing
