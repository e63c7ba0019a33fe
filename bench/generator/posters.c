// Connections that post, each with one request under way, on a thread of their own.
#define _GNU_SOURCE
#include "generator.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct posting posting;

struct poster {
  int socket, room;
  bool is_busy;
  uint64_t sent_at;
  char answer[64 * 1024];
  size_t answer_bytes;
};

struct template { char *text, *marker; size_t size; };

static struct poster *posters;
static struct template templates[ROOMS_MAX];
static uint32_t *sequences;          // next number, by room and poster
static int next_room, epoll_, busy;
static int messages, sent;
static uint64_t ends_at;
static double rate;
static atomic_bool is_done = true;

void posters_connect(void) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  posters = allocate((size_t)plan.window * sizeof *posters);
  sequences = allocate((size_t)(plan.window * plan.room_count) * sizeof *sequences);
  for (int i = 0; i < plan.room_count; i++) {
    struct template *template = &templates[i];
    template->text = plan_fill(plan.publish, plan.rooms[i], 0, NULL, NULL);
    char *at = strstr(template->text, "{marker}");
    if (at) {
      // The field becomes as long as a marker, in place.
      memmove(at + MARKER_BYTES, at + strlen("{marker}"), strlen(at + strlen("{marker}")) + 1);
      template->marker = at;
    }
    template->size = strlen(template->text);
  }
  for (int i = 0; i < plan.window; i++) {
    posters[i].socket = connect_to_server();
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = &posters[i]};
    struct epoll_event ready;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, posters[i].socket, &event) < 0 || epoll_wait(epoll_, &ready, 1, 5000) < 1)
      fail("a poster cannot connect");
    event.events = EPOLLIN;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, posters[i].socket, &event);
  }
}

static void post(struct poster *poster) {
  int number = (int)(poster - posters);
  poster->room = next_room;
  next_room = (next_room + 1) % plan.room_count;
  struct template *template = &templates[poster->room];
  poster->sent_at = now_ns();
  poster->is_busy = true;
  busy++;
  uint32_t *sequence = &sequences[poster->room * plan.window + number];
  if (template->marker) write_marker(template->marker, run_id, (unsigned)number, (*sequence)++, poster->sent_at);
  if (send(poster->socket, template->text, template->size, MSG_NOSIGNAL) != (ssize_t)template->size)
    fail("a post was not taken: %s", strerror(errno));
}

// Sends what is due; returns the milliseconds until the next is.
static int post_what_is_due(void) {
  uint64_t now = now_ns();
  for (int i = 0; i < plan.window; i++) {
    if (posters[i].is_busy) continue;
    if ((messages > 0 && sent >= messages) || now >= ends_at) return 10;
    uint64_t due_at = rate > 0 ? posting.started_at + (uint64_t)((double)sent / rate * 1e9) : now;
    if (due_at > now) return (int)((due_at - now) / 1000000);
    histogram_add(&posting.lag, now - due_at);
    sent++;
    post(&posters[i]);
  }
  return 10;
}

static void answered(struct poster *poster, int status) {
  poster->is_busy = false;
  poster->answer_bytes = 0;
  busy--;
  posting.last_answer_at = now_ns();
  if (status < 200 || status > 299) { posting.errors++; return; }
  posting.answered++;
  posting.by_room[poster->room]++;
  histogram_add(&posting.latency, posting.last_answer_at - poster->sent_at);
}

static void receive(struct poster *poster) {
  ssize_t got = recv(poster->socket, poster->answer + poster->answer_bytes,
                     sizeof poster->answer - poster->answer_bytes - 1, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) fail("a poster's connection was closed");
  if (got < 0) return;
  poster->answer_bytes += (size_t)got;
  poster->answer[poster->answer_bytes] = 0;
  char value[32], *body = strstr(poster->answer, "\r\n\r\n");
  if (!body) return;
  size_t head = (size_t)(body + 4 - poster->answer);
  char last = body[2];
  body[2] = 0;
  size_t length = header_value(poster->answer, "Content-Length", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
  bool is_chunked = header_value(poster->answer, "Transfer-Encoding", value, sizeof value) != NULL;
  body[2] = last;
  if (head + length >= sizeof poster->answer) fail("an answer of more than 64 KiB");
  bool is_complete = is_chunked ? strstr(body + 4, "0\r\n\r\n") != NULL : poster->answer_bytes >= head + length;
  if (is_complete) answered(poster, atoi(poster->answer + strlen("HTTP/1.1 ")));
}

static void *work(void *unused) {
  (void)unused;
  while (true) {
    int wait = post_what_is_due();
    if (busy == 0 && ((messages > 0 && sent >= messages) || now_ns() >= ends_at)) break;
    struct epoll_event events[256];
    int count = epoll_wait(epoll_, events, 256, wait);
    for (int i = 0; i < count; i++) receive(events[i].data.ptr);
  }
  is_done = true;
  return NULL;
}

void posters_start(int messages_, double seconds, double rate_) {
  uint32_t by_room[ROOMS_MAX];
  memcpy(by_room, posting.by_room, sizeof by_room);
  posting = (struct posting){.started_at = now_ns()};
  memcpy(posting.by_room, by_room, sizeof by_room);
  messages = messages_;
  sent = 0;
  rate = rate_;
  ends_at = messages > 0 ? UINT64_MAX : posting.started_at + (uint64_t)(seconds * 1e9);
  is_done = false;
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, NULL) != 0) fail("no thread");
  pthread_detach(thread);
}

bool posters_done(void) { return is_done; }
