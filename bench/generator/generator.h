// A load generator for anything that speaks HTTP/1.1: the same for all peers of a comparison.
//
// What requests look like is told by a plan file (see plan.c); what comes back is only searched for markers: `~`, 36
// hexadecimal digits, `~`, in each message's content. Two threads: main reads (epoll), one more posts (epoll).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MARKER_BYTES = 38, PUBLISHERS_MAX = 1024, ROOMS_MAX = 1000, SERVERS_MAX = 16, TEXT_MAX = 4096 };

enum mode { MODE_FANOUT, MODE_POLL, MODE_IDLE, MODE_STORM, MODE_REQUESTS };

struct plan {
  enum mode mode;
  char host[64];
  int port;
  int subscribers, window, messages, warm_up, device_streams;
  double rate;           // posts a second; 0: as many as the server takes
  double seconds;        // of idling, or of requests when `messages` is 0
  int gather_us;         // let events gather for so long before they are read
  double patience;       // seconds without progress until the rest is given up
  char *rooms[ROOMS_MAX];
  int room_count;
  char *subscribe;       // request templates with {room}, {device}, {cursor}, {cursor2}
  char *publish;         // ... with {room} and {marker}, which is MARKER_BYTES long
  char *first_poll, *poll;
  char *cursor_header[2];
  int servers[SERVERS_MAX];
  int server_count;
};
extern struct plan plan;
void plan_read(const char *path);
// The template with its fields filled in, to be freed; NULL fields are left empty.
char *plan_fill(const char *text, const char *room, int device, const char *cursor, const char *cursor2);

// --- histogram (histogram.c): durations in nanoseconds, to within 1 %
struct histogram { uint64_t count, max, steps[64 * 128]; };
void histogram_add(struct histogram *, uint64_t nanoseconds);
double histogram_ms(const struct histogram *, double share);

// --- shared small things (common.c)
_Noreturn void fail(const char *format, ...);
void *allocate(size_t bytes);
uint64_t now_ns(void);
int connect_to_server(void);                       // non-blocking
void write_marker(char *to, uint32_t run, unsigned publisher, uint32_t sequence, uint64_t time);
bool read_marker(const char *from, uint32_t *run, unsigned *publisher, uint32_t *sequence, uint64_t *time);
const char *header_value(const char *head, const char *name, char *to, size_t size);  // NULL: not there
double servers_cpu_us(void);
double servers_memory_kib(void);
double own_cpu_us(void);
extern uint32_t run_id;

// --- readers.c
struct reading {
  uint64_t events, last_event_at;
  int open, complete, lost;
  uint64_t duplicates, gaps, missing;
  struct histogram latency, catch_up;
};
extern struct reading reading;
void readers_make(void);
void readers_open(int window);                     // until all are open, or fails
void readers_run(uint64_t until, bool (*is_done)(void));
void readers_expect(const uint32_t *by_room);      // NULL: not known yet
void readers_count_missing(void);

// --- posters.c: on their own thread; figures may be read when posters_done() is true
struct posting {
  uint64_t answered, errors, started_at, last_answer_at;
  struct histogram latency, lag;
  uint32_t by_room[ROOMS_MAX];
};
extern struct posting posting;
void posters_connect(void);
void posters_start(int messages, double seconds, double rate);
bool posters_done(void);
