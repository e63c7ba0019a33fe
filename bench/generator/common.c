#define _GNU_SOURCE
#include "generator.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint32_t run_id;

void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("generator: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  exit(1);
}

void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory) fail("out of memory");
  return memory;
}

static double seconds_of(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

double own_cpu_us(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID) * 1e6; }

int connect_to_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.port)};
  if (inet_pton(AF_INET, plan.host, &address.sin_addr) != 1) fail("%s is no IPv4 address", plan.host);
  int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  if (socket_ < 0) fail("socket: %s", strerror(errno));
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(socket_, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
    fail("connect: %s", strerror(errno));
  return socket_;
}

// ------------------------------------------------------------------ markers

static void put(char *to, uint64_t value, int digits) {
  for (int at = digits - 1; at >= 0; at--, value >>= 4) to[at] = "0123456789abcdef"[value & 15];
}

static bool get(const char *from, int digits, uint64_t *value) {
  *value = 0;
  for (int at = 0; at < digits; at++) {
    char c = from[at];
    unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
    if (digit > 15) return false;
    *value = *value << 4 | digit;
  }
  return true;
}

void write_marker(char *to, uint32_t run, unsigned publisher, uint32_t sequence, uint64_t time) {
  to[0] = to[MARKER_BYTES - 1] = '~';
  put(to + 1, run, 8);
  put(to + 9, publisher, 4);
  put(to + 13, sequence, 8);
  put(to + 21, time, 16);
}

bool read_marker(const char *from, uint32_t *run, unsigned *publisher, uint32_t *sequence, uint64_t *time) {
  uint64_t value[3];
  if (from[0] != '~' || from[MARKER_BYTES - 1] != '~') return false;
  if (!get(from + 1, 8, &value[0]) || !get(from + 9, 4, &value[1]) || !get(from + 13, 8, &value[2])) return false;
  *run = (uint32_t)value[0];
  *publisher = (unsigned)value[1];
  *sequence = (uint32_t)value[2];
  return get(from + 21, 16, time);
}

// --------------------------------------------------------------------- HTTP

const char *header_value(const char *head, const char *name, char *to, size_t size) {
  size_t length = strlen(name);
  for (const char *line = strchr(head, '\n'); line; line = strchr(line, '\n')) {
    line++;
    if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
    const char *value = line + length + 1;
    while (*value == ' ') value++;
    size_t used = strcspn(value, "\r\n");
    if (used >= size) return NULL;
    memcpy(to, value, used);
    to[used] = 0;
    return to;
  }
  return NULL;
}

// -------------------------------------------------------------- the servers

double servers_cpu_us(void) {
  double ticks = 0;
  for (int i = 0; i < plan.server_count; i++) {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", plan.servers[i]);
    FILE *file = fopen(path, "r");
    size_t used = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[used] = 0;
    // The name may contain anything; behind its last parenthesis all is numbers.
    char *rest = strrchr(text, ')');
    long user, system;
    if (rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) == 2)
      ticks += (double)(user + system);
  }
  return ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double servers_memory_kib(void) {
  double kib = 0;
  for (int i = 0; i < plan.server_count; i++) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", plan.servers[i]);
    FILE *file = fopen(path, "r");
    double value;
    while (file && fgets(line, sizeof line, file))
      if (sscanf(line, "Pss: %lf kB", &value) == 1) kib += value;
    if (file) fclose(file);
  }
  return kib;
}
