// The plan: one `key value` a line. In values, \r and \n are written as such; values go to the end of the line.
//
//   mode fanout|poll|idle|storm|requests
//   address 127.0.0.1 8080
//   room NAME                        (repeated)
//   subscribe GET /sse/{room} HTTP/1.1\r\n...\r\n\r\n
//   publish POST /pub/{room} HTTP/1.1\r\n...\r\n\r\n{"text":"{marker}xxx"}
//   first-poll, poll                 requests of long-poll; cursor-header NAME (up to two) is sent back as {cursor}
//   subscribers, window, messages, warm-up, rate, seconds, gather-us, patience, device-streams, server-pid (repeated)
#define _GNU_SOURCE
#include "generator.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan plan = {.window = 32, .device_streams = 1, .patience = 10};

static const struct { const char *key; int *value; } numbers[] = {
  {"subscribers", &plan.subscribers}, {"window", &plan.window}, {"messages", &plan.messages},
  {"warm-up", &plan.warm_up}, {"gather-us", &plan.gather_us}, {"device-streams", &plan.device_streams},
};
static const struct { const char *key; double *value; } reals[] = {
  {"rate", &plan.rate}, {"seconds", &plan.seconds}, {"patience", &plan.patience},
};
static const struct { const char *key; char **value; } texts[] = {
  {"subscribe", &plan.subscribe}, {"publish", &plan.publish}, {"first-poll", &plan.first_poll}, {"poll", &plan.poll},
};
static const char *modes[] = {"fanout", "poll", "idle", "storm", "requests"};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char *unescaped(const char *value) {
  char *text = allocate(strlen(value) + 1), *to = text;
  for (const char *from = value; *from; from++) {
    if (from[0] == '\\' && (from[1] == 'r' || from[1] == 'n')) *to++ = *++from == 'r' ? '\r' : '\n';
    else *to++ = *from;
  }
  return text;
}

static void take(const char *key, const char *value) {
  for (size_t i = 0; i < COUNT(numbers); i++)
    if (!strcmp(key, numbers[i].key)) { *numbers[i].value = atoi(value); return; }
  for (size_t i = 0; i < COUNT(reals); i++)
    if (!strcmp(key, reals[i].key)) { *reals[i].value = atof(value); return; }
  for (size_t i = 0; i < COUNT(texts); i++)
    if (!strcmp(key, texts[i].key)) { *texts[i].value = unescaped(value); return; }
  for (size_t i = 0; i < COUNT(modes); i++)
    if (!strcmp(key, "mode") && !strcmp(value, modes[i])) { plan.mode = (enum mode)i; return; }
  if (!strcmp(key, "address") && sscanf(value, "%63s %d", plan.host, &plan.port) == 2) return;
  if (!strcmp(key, "room") && plan.room_count < ROOMS_MAX) { plan.rooms[plan.room_count++] = unescaped(value); return; }
  if (!strcmp(key, "server-pid") && plan.server_count < SERVERS_MAX) {
    plan.servers[plan.server_count++] = atoi(value);
    return;
  }
  for (int i = 0; i < 2; i++)
    if (!strcmp(key, "cursor-header") && !plan.cursor_header[i]) { plan.cursor_header[i] = unescaped(value); return; }
  fail("the plan's line is not understood: %s %s", key, value);
}

void plan_read(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail("cannot read %s", path);
  char *line = NULL;
  size_t size = 0;
  for (ssize_t used; (used = getline(&line, &size, file)) > 0;) {
    if (line[used - 1] == '\n') line[used - 1] = 0;
    char *value = strchr(line, ' ');
    if (!value) continue;
    *value++ = 0;
    take(line, value);
  }
  free(line);
  fclose(file);
  if (!plan.host[0] || plan.room_count == 0) fail("the plan has no address or no room");
  if (plan.window < 1 || plan.window > PUBLISHERS_MAX) fail("window must be 1 to %d", PUBLISHERS_MAX);
  bool can_subscribe = plan.mode == MODE_POLL ? plan.poll && plan.first_poll : plan.subscribe != NULL;
  if (plan.subscribers > 0 && !can_subscribe) fail("the plan has no request for subscribers");
  if (plan.mode != MODE_IDLE && !plan.publish) fail("the plan has no publish");
}

char *plan_fill(const char *text, const char *room, int device, const char *cursor, const char *cursor2) {
  char number[16];
  snprintf(number, sizeof number, "%d", device);
  const char *fields[][2] = {{"{room}", room}, {"{device}", number}, {"{cursor}", cursor}, {"{cursor2}", cursor2}};
  char *filled = allocate(strlen(text) + 1024), *to = filled;
  while (*text) {
    bool found = false;
    for (size_t i = 0; i < COUNT(fields) && !found; i++) {
      if (strncmp(text, fields[i][0], strlen(fields[i][0])) != 0) continue;
      to = stpcpy(to, fields[i][1] ? fields[i][1] : "");
      text += strlen(fields[i][0]);
      found = true;
    }
    if (!found) *to++ = *text++;
  }
  return filled;
}
