// The floor: what it costs the kernel alone to bring one POST to all streams of a room. No JSON, no storage, no replay.
//
//   cloop PORT [coalesce]
//
// One epoll loop. Each POST becomes one SSE event in one HTTP chunk. By default every event is one write to every
// stream; with `coalesce` all events of one round of the loop go out together.
//   GET /ROOM  a stream      POST /ROOM  publishes the body, which must come with the head in one segment
//   GET /ROOM?poll  waits for the next event and is answered with it
// ROOM is a number below 256.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOMS = 256, STREAMS_MAX = 20000, REQUEST_MAX = 8192, ROUND_MAX = 1 << 20 };

struct room {
  int streams[STREAMS_MAX], count, polls[STREAMS_MAX], poll_count;
  char round[ROUND_MAX];
  size_t bytes;
};
static struct room rooms[ROOMS];
static int epoll_;
static bool is_coalescing;

static void write_to_all(struct room *room) {
  for (int i = 0; i < room->count; i++)
    // A stream that takes nothing loses events: this is a floor, not a server.
    if (send(room->streams[i], room->round, room->bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) continue;
  room->bytes = 0;
}

static void publish(struct room *room, const char *body, size_t size) {
  if (room->bytes + size + 64 > ROUND_MAX) write_to_all(room);
  room->bytes += (size_t)sprintf(room->round + room->bytes, "%zx\r\ndata: %.*s\n\n\r\n", size + 8, (int)size, body);
  if (!is_coalescing) write_to_all(room);
  char answer[REQUEST_MAX + 128];
  int bytes = sprintf(
      answer, "HTTP/1.1 200 OK\r\nEtag: 1\r\nContent-Length: %zu\r\n\r\n%.*s", size, (int)size, body);
  for (int i = 0; i < room->poll_count; i++)
    if (send(room->polls[i], answer, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) continue;
  room->poll_count = 0;
}

static void reply(int socket, const char *text) { (void)!send(socket, text, strlen(text), MSG_NOSIGNAL); }

static void forget(int socket) {
  for (struct room *room = rooms; room < rooms + ROOMS; room++)
    for (int i = 0; i < room->count; i++)
      if (room->streams[i] == socket) { room->streams[i] = room->streams[--room->count]; break; }
  for (struct room *room = rooms; room < rooms + ROOMS; room++)
    for (int i = 0; i < room->poll_count; i++)
      if (room->polls[i] == socket) { room->polls[i] = room->polls[--room->poll_count]; break; }
  close(socket);
}

static void serve(int socket) {
  char request[REQUEST_MAX + 1];
  ssize_t got = recv(socket, request, REQUEST_MAX, 0);
  if (got <= 0) return forget(socket);
  request[got] = 0;
  char *body = strstr(request, "\r\n\r\n");
  if (!body) return forget(socket);
  struct room *room = &rooms[(unsigned)atoi(strchr(request, '/') ? strchr(request, '/') + 1 : "0") % ROOMS];
  char *line_end = strstr(request, "\r\n");
  *line_end = 0;
  bool is_poll = strstr(request, "?poll") != NULL;
  *line_end = '\r';
  if (request[0] == 'G' && is_poll && room->poll_count < STREAMS_MAX) {
    room->polls[room->poll_count++] = socket;
  } else if (request[0] == 'G' && room->count < STREAMS_MAX) {
    reply(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    room->streams[room->count++] = socket;
  } else {
    publish(room, body + 4, (size_t)(request + got - body - 4));
    reply(socket, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  }
}

static void watch(int socket) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = socket};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
}

static int listen_on(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
    perror("cloop");
    exit(1);
  }
  return listener;
}

int main(int count, char **arguments) {
  if (count < 2) return fprintf(stderr, "usage: cloop PORT [coalesce]\n"), 1;
  is_coalescing = count > 2;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on(atoi(arguments[1])), one = 1;
  watch(listener);
  while (true) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll_, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd != listener) { serve(events[i].data.fd); continue; }
      int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      if (socket < 0) continue;
      setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      watch(socket);
    }
    for (struct room *room = rooms; room < rooms + ROOMS; room++)
      if (room->bytes > 0) write_to_all(room);
  }
}
