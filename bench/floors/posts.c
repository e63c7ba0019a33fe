// The floor of a durable post: what SQLite itself takes, in C, for the rows of a message with nothing around them.
//
//   posts SCHEMA.sql DIRECTORY [POSTS] [GROUP]
//
// One thread writes message, event and search index as comblang does, GROUP posts (default 22) in a transaction, to
// 64 rooms in turn, WAL and synchronous=FULL. No HTTP, no JSON, no permissions, no idempotency. Prints CPU and time a
// post.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ROOMS = 64, TEXT_MAX = 1024 };

static sqlite3 *db;

static void must(int code) {
  if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
  fprintf(stderr, "posts: %s\n", sqlite3_errmsg(db));
  exit(1);
}

static void run(const char *sql) { must(sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static sqlite3_stmt *prepared(const char *sql) {
  sqlite3_stmt *statement;
  must(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL));
  return statement;
}

static void done(sqlite3_stmt *statement) {
  must(sqlite3_step(statement));
  must(sqlite3_reset(statement));
}

static void text(sqlite3_stmt *statement, int place, const char *value) {
  must(sqlite3_bind_text(statement, place, value, -1, SQLITE_STATIC));
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void open_database(const char *schema, const char *directory) {
  char path[TEXT_MAX];
  snprintf(path, sizeof path, "%s/floor.sqlite", directory);
  must(sqlite3_open(path, &db));
  run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;"
      "PRAGMA wal_autocheckpoint=4000; PRAGMA foreign_keys=ON");
  FILE *file = fopen(schema, "r");
  static char sql[1 << 20];
  if (!file || fread(sql, 1, sizeof sql - 1, file) == 0) { perror(schema); exit(1); }
  fclose(file);
  run(sql);
  run("INSERT INTO user (id, username, displayName, color, role, kind, isSuspended, isOnline, createdAt, lastUsedAt)"
      " VALUES ('usr_01M8698X6VNC0A0G47S1EP2ZYB', 'u', 'u', '#000000', 'user', 'account', 0, 0, 0, 0)");
  for (int room = 0; room < ROOMS; room++) {
    snprintf(path, sizeof path, "INSERT INTO room (id, title, visibility, createdBy, createdAt, isArchived) VALUES"
             " ('room_01M8698X7TXGQJ8Y11YK83%04d', 'r', 'private', 'usr_01M8698X6VNC0A0G47S1EP2ZYB', 0, 0)", room);
    run(path);
  }
}

int main(int count, char **arguments) {
  if (count < 3) return fprintf(stderr, "usage: posts SCHEMA.sql DIRECTORY [POSTS] [GROUP]\n"), 1;
  int posts = count > 3 ? atoi(arguments[3]) : 100000, group = count > 4 ? atoi(arguments[4]) : 22;
  open_database(arguments[1], arguments[2]);
  sqlite3_stmt *message = prepared(
      "INSERT INTO message (seq, id, room, user, content, createdAt, origin) VALUES"
      " (?1, ?2, ?3, 'usr_01M8698X6VNC0A0G47S1EP2ZYB', ?4, 1764000000000, 'rest')");
  sqlite3_stmt *event = prepared(
      "INSERT INTO event (seq, type, audiences, room, actor, at, data, message) VALUES"
      " (?1, 'message.created', ?3, ?3, 'usr_01M8698X6VNC0A0G47S1EP2ZYB', 1764000000000, ?4, ?2)");
  sqlite3_stmt *search = prepared(
      "INSERT INTO messageFts (rowid, room, content) SELECT seq, room, content FROM message WHERE seq > ?1 ORDER BY seq");
  char id[40], room[40], content[201], data[TEXT_MAX];
  memset(content, 'x', 200);
  content[200] = 0;
  double cpu = cpu_seconds(), started = now_seconds();
  for (int seq = 1; seq <= posts;) {
    run("BEGIN IMMEDIATE");
    int first = seq;
    for (; seq < first + group && seq <= posts; seq++) {
      snprintf(id, sizeof id, "msg_01M8698X8EKBWB%012d", seq);
      snprintf(room, sizeof room, "room_01M8698X7TXGQJ8Y11YK83%04d", seq % ROOMS);
      snprintf(content, 24, "%023d", seq);
      content[23] = 'x';
      snprintf(data, sizeof data, "{\"id\":\"%s\",\"room\":\"%s\",\"seq\":%d,\"content\":\"%s\"%150s}", id, room, seq, content, "");
      sqlite3_bind_int64(message, 1, seq), text(message, 2, id), text(message, 3, room), text(message, 4, content);
      done(message);
      sqlite3_bind_int64(event, 1, seq), text(event, 2, id), text(event, 3, room), text(event, 4, data);
      done(event);
    }
    sqlite3_bind_int64(search, 1, first - 1);
    done(search);
    run("COMMIT");
  }
  cpu = cpu_seconds() - cpu;
  printf("%.1f us of CPU a post, %.0f posts/s\n", cpu * 1e6 / posts, posts / (now_seconds() - started));
  return 0;
}
