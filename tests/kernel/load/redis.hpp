// A connection to a Redis server: commands as lists of words, replies as values, errors as exceptions.
#pragma once

#include <hiredis.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::load {

struct RedisAddress {
  std::string host = "127.0.0.1";
  int port = 6379;
};

class Redis {
 public:
  using Reply = std::unique_ptr<redisReply, void (*)(redisReply*)>;
  using Words = std::vector<std::string>;

  explicit Redis(const RedisAddress& address);
  Reply call(const Words& words);   // throws std::runtime_error with the server's message
  void append(const Words& words);  // pipelined: call take() once per append()
  Reply take();
  // Creates the stream and the group unless they exist.
  void create_group(const std::string& stream, const std::string& group);

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

struct Record {
  std::string id;
  std::int64_t sent_usec = 0;  // CLOCK_MONOTONIC of the producer, on the same host
  double work = 0;
};

// The result of XREADGROUP: empty if nothing arrived in time. Throws if a record is not from a producer.
std::vector<Record> records_of(const redisReply& reply);

struct GroupLag {
  long long waiting = 0;          // not delivered, or delivered and not acknowledged
  long long processed = 0;        // acknowledged since the group was created
  double oldest_age_seconds = 0;  // of the oldest waiting record; 0: none waits
};
// From outside the consumers: XINFO GROUPS, and the id (a time) of the oldest record. None: the group does
// not exist yet.
std::optional<GroupLag> group_lag(Redis& redis, const std::string& stream, const std::string& group);

}  // namespace sluice::load
