// Subscribers: one connection each, all on the main thread.
#define _GNU_SOURCE
#include "generator.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct reading reading;

enum { BUFFER_BYTES = 256 * 1024 };

struct reader {
  int socket, room, device;
  bool is_open, is_head_read;
  uint64_t opening_at;
  uint32_t received, *expected;      // next sequence number by publisher
  char *unscanned;                   // what is left of the last read: a piece of a marker, or of a poll's answer
  size_t unscanned_bytes, unscanned_size;
  char cursor[2][128];
};

static struct reader *readers;
static const uint32_t *goals;        // messages by room; NULL while they are being posted
static int epoll_, opening;
static char buffer[BUFFER_BYTES + TEXT_MAX];

void readers_make(void) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  readers = allocate((size_t)plan.subscribers * sizeof *readers);
  for (int i = 0; i < plan.subscribers; i++) {
    struct reader *reader = &readers[i];
    reader->socket = -1;
    reader->room = plan.subscribers < plan.room_count ? i % plan.room_count
                                                      : (int)((long)i * plan.room_count / plan.subscribers);
    reader->device = i / plan.device_streams;
    reader->expected = allocate((size_t)plan.window * sizeof *reader->expected);
  }
}

static void keep(struct reader *reader, const char *bytes, size_t count) {
  if (count > reader->unscanned_size) {
    free(reader->unscanned);
    reader->unscanned = allocate(reader->unscanned_size = count + 64);
  }
  memmove(reader->unscanned, bytes, count);
  reader->unscanned_bytes = count;
}

// ------------------------------------------------------------------ counting

static void note_completion(struct reader *reader, uint64_t now) {
  if (!goals || reader->received != goals[reader->room]) return;
  reading.complete++;
  histogram_add(&reading.catch_up, now - reader->opening_at);
}

static void count(struct reader *reader, unsigned publisher, uint32_t sequence, uint64_t sent_at, uint64_t now) {
  if (publisher >= (unsigned)plan.window) return;
  if (sequence < reader->expected[publisher]) { reading.duplicates++; return; }
  reading.gaps += sequence - reader->expected[publisher];
  reader->expected[publisher] = sequence + 1;
  reader->received++;
  reading.events++;
  reading.last_event_at = now;
  histogram_add(&reading.latency, now > sent_at ? now - sent_at : 0);
  note_completion(reader, now);
}

// Counts all markers; returns how many bytes at the end may be the beginning of one more.
static size_t scan(struct reader *reader, const char *bytes, size_t size, uint64_t now) {
  const char *end = bytes + size, *at = bytes;
  while ((at = memchr(at, '~', (size_t)(end - at)))) {
    if (end - at < MARKER_BYTES) return (size_t)(end - at);
    uint32_t run, sequence;
    unsigned publisher;
    uint64_t sent_at;
    if (read_marker(at, &run, &publisher, &sequence, &sent_at) && run == run_id) {
      count(reader, publisher, sequence, sent_at, now);
      at += MARKER_BYTES;
    } else at++;
  }
  return 0;
}

// ---------------------------------------------------------------- connections

static void send_text(struct reader *reader, char *text) {
  size_t size = strlen(text);
  if (send(reader->socket, text, size, MSG_NOSIGNAL) != (ssize_t)size)
    fail("a request was not taken: %s", strerror(errno));
  free(text);
}

static void ask(struct reader *reader, const char *template) {
  const char *room = plan.rooms[reader->room];
  send_text(reader, plan_fill(template, room, reader->device, reader->cursor[0], reader->cursor[1]));
}

static void opened(struct reader *reader) {
  if (reader->is_open) return;
  reader->is_open = true;
  reading.open++;
  opening--;
  note_completion(reader, now_ns());
}

static void lost(struct reader *reader, const char *why) {
  if (!reader->is_open) fail("a subscriber could not begin: %s", why);
  close(reader->socket);
  reader->socket = -1;
  reading.lost++;
}

// Returns where the body begins, or NULL while the head is not complete.
static char *head_end(struct reader *reader, char *bytes) {
  char *end = strstr(bytes, "\r\n\r\n");
  if (!end) return NULL;
  if (strncmp(bytes, "HTTP/1.1 200", 12) != 0 && strncmp(bytes, "HTTP/1.1 101", 12) != 0) {
    bytes[strcspn(bytes, "\r\n")] = 0;
    lost(reader, bytes);
    return NULL;
  }
  return end + 4;
}

static void read_stream(struct reader *reader, char *bytes, size_t size, uint64_t now) {
  if (!reader->is_head_read) {
    char *body = head_end(reader, bytes);
    if (!body) return keep(reader, bytes, size);
    reader->is_head_read = true;
    size -= (size_t)(body - bytes);
    bytes = body;
    opened(reader);
  }
  size_t left = scan(reader, bytes, size, now);
  keep(reader, bytes + size - left, left);
}

static void read_poll(struct reader *reader, char *bytes, size_t size, uint64_t now) {
  char value[32], *body = head_end(reader, bytes);
  if (!body) return keep(reader, bytes, size);
  char last = body[-2];
  body[-2] = 0;
  size_t length = header_value(bytes, "Content-Length", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
  size_t answer = (size_t)(body - bytes) + length;
  if (size < answer) {
    body[-2] = last;
    return keep(reader, bytes, size);
  }
  for (int i = 0; i < 2; i++)
    if (plan.cursor_header[i]) header_value(bytes, plan.cursor_header[i], reader->cursor[i], sizeof reader->cursor[i]);
  scan(reader, body, length, now);
  reader->unscanned_bytes = 0;
  opened(reader);
  ask(reader, plan.poll);
}

static void receive(struct reader *reader) {
  // What was left goes in front; a poll's answer may be larger than the buffer, so that it grows in `unscanned`.
  char *bytes = buffer;
  size_t kept = reader->unscanned_bytes;
  char *large = kept > TEXT_MAX ? allocate(kept + BUFFER_BYTES + 1) : NULL;
  if (large) bytes = large;
  if (kept > 0) memcpy(bytes, reader->unscanned, kept);
  ssize_t got = recv(reader->socket, bytes + kept, BUFFER_BYTES - 1, 0);
  if (got > 0) {
    bytes[kept + (size_t)got] = 0;
    if (plan.mode == MODE_POLL) read_poll(reader, bytes, kept + (size_t)got, now_ns());
    else read_stream(reader, bytes, kept + (size_t)got, now_ns());
  } else if (got == 0 || errno != EAGAIN) {
    lost(reader, got == 0 ? "the connection was closed" : strerror(errno));
  }
  free(large);
}

static void begin(struct reader *reader) {
  reader->socket = connect_to_server();
  reader->opening_at = now_ns();
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLONESHOT, .data.ptr = reader};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, reader->socket, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
  opening++;
}

static void connected(struct reader *reader) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(reader->socket, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return lost(reader, strerror(error));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = reader};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, reader->socket, &event);
  ask(reader, plan.mode == MODE_POLL ? plan.first_poll : plan.subscribe);
  // Some servers do not answer a poll before there is something to say.
  if (plan.mode == MODE_POLL) opened(reader);
}

static void serve(int timeout_ms) {
  struct epoll_event events[512];
  int count_ = epoll_wait(epoll_, events, 512, timeout_ms);
  for (int i = 0; i < count_; i++) {
    struct reader *reader = events[i].data.ptr;
    if (reader->socket < 0) continue;
    if (events[i].events & EPOLLOUT) connected(reader);
    else receive(reader);
  }
}

void readers_open(int window) {
  uint64_t give_up_at = now_ns() + 120 * 1000000000ull;
  int next = 0;
  while (reading.open < plan.subscribers) {
    while (next < plan.subscribers && opening < window) begin(&readers[next++]);
    serve(100);
    if (now_ns() > give_up_at) fail("only %d of %d subscribers are open", reading.open, plan.subscribers);
  }
}

void readers_run(uint64_t until, bool (*is_done)(void)) {
  while (now_ns() < until && !(is_done && is_done())) {
    if (plan.gather_us > 0) usleep((useconds_t)plan.gather_us);
    // A round serves at most 512 connections: as many rounds as there may be ready ones, before the next pause.
    int rounds = plan.gather_us > 0 ? plan.subscribers / 512 + 1 : 1;
    for (int i = 0; i < rounds; i++) serve(plan.gather_us > 0 ? 0 : 10);
  }
}

void readers_expect(const uint32_t *by_room) {
  goals = by_room;
  reading.complete = 0;
  for (int i = 0; goals && i < plan.subscribers; i++)
    if (readers[i].received == goals[readers[i].room]) reading.complete++;
}

void readers_count_missing(void) {
  for (int i = 0; goals && i < plan.subscribers; i++)
    if (readers[i].received < goals[readers[i].room]) reading.missing += goals[readers[i].room] - readers[i].received;
}
