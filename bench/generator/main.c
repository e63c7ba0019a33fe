// generator PLAN: does what the plan says, prints one JSON object.
#define _GNU_SOURCE
#include "generator.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static double server_cpu, client_cpu, memory_before, memory_open, seconds;
static uint64_t last_progress_events, last_progress_at;

static bool all_delivered(void) { return reading.complete >= plan.subscribers; }

// Also true when nothing has come for `patience`: the rest is missing.
static bool delivered_or_stalled(void) {
  uint64_t now = now_ns();
  if (reading.events != last_progress_events) {
    last_progress_events = reading.events;
    last_progress_at = now;
  }
  return all_delivered() || (double)(now - last_progress_at) / 1e9 > plan.patience;
}

static void post(int messages, double seconds_, double rate) {
  readers_expect(NULL);
  posters_start(messages, seconds_, rate);
  readers_run(UINT64_MAX, posters_done);
}

static void await_delivery(void) {
  readers_expect(posting.by_room);
  last_progress_at = now_ns();
  readers_run(UINT64_MAX, delivered_or_stalled);
}

static void start_costs(void) {
  server_cpu = servers_cpu_us();
  client_cpu = own_cpu_us();
}

static void stop_costs(void) {
  server_cpu = servers_cpu_us() - server_cpu;
  client_cpu = own_cpu_us() - client_cpu;
}

static void forget(void) {
  int open = reading.open, lost = reading.lost;
  reading = (struct reading){.open = open, .lost = lost};
}

static double between(uint64_t start, uint64_t end) { return end > start ? (double)(end - start) / 1e9 : 0; }

static void settle(double seconds_) { readers_run(now_ns() + (uint64_t)(seconds_ * 1e9), NULL); }

static void open_all(int window) {
  memory_before = servers_memory_kib();
  readers_open(window);
  settle(0.7);
  memory_open = servers_memory_kib();
}

static void run_fanout(void) {
  open_all(64);
  posters_connect();
  post(plan.warm_up, 0, 0);
  await_delivery();
  forget();
  start_costs();
  post(plan.messages, plan.seconds, plan.rate);
  await_delivery();
  stop_costs();
  seconds = between(posting.started_at, reading.last_event_at);
}

static void run_idle(void) {
  open_all(64);
  start_costs();
  uint64_t started_at = now_ns();
  settle(plan.seconds);
  stop_costs();
  seconds = between(started_at, now_ns());
}

static void run_storm(void) {
  posters_connect();
  post(plan.messages, 0, 0);
  readers_expect(posting.by_room);
  usleep(300000);
  start_costs();
  uint64_t started_at = now_ns();
  readers_open(plan.subscribers);
  last_progress_at = now_ns();
  readers_run(UINT64_MAX, delivered_or_stalled);
  stop_costs();
  seconds = between(started_at, reading.last_event_at);
}

static void run_requests(void) {
  posters_connect();
  post(plan.warm_up, 0, 0);
  start_costs();
  post(plan.messages, plan.seconds, plan.rate);
  stop_costs();
  seconds = between(posting.started_at, posting.last_answer_at);
}

static void print_histogram(const char *name, const struct histogram *histogram) {
  printf("\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f},", name,
         histogram_ms(histogram, 0.5), histogram_ms(histogram, 0.9), histogram_ms(histogram, 0.99),
         histogram_ms(histogram, 0.999), histogram_ms(histogram, 1));
}

static void print_figures(void) {
  double units = plan.subscribers > 0 ? (double)reading.events : (double)posting.answered;
  printf("{\"events\":%lu,\"answered\":%lu,\"seconds\":%.4f,\"perSecond\":%.1f,", reading.events, posting.answered,
         seconds, seconds > 0 ? units / seconds : 0);
  print_histogram("latencyMs", &reading.latency);
  print_histogram("requestMs", &posting.latency);
  print_histogram("behindScheduleMs", &posting.lag);
  print_histogram("catchUpMs", &reading.catch_up);
  printf("\"serverMicrosecondsEach\":%.4f,\"clientMicrosecondsEach\":%.4f,\"serverCPUs\":%.4f,",
         units > 0 ? server_cpu / units : 0, units > 0 ? client_cpu / units : 0,
         seconds > 0 ? server_cpu / 1e6 / seconds : 0);
  if (plan.subscribers > 0 && plan.mode != MODE_STORM)
    printf("\"serverKiBPerStream\":%.3f,", (memory_open - memory_before) / plan.subscribers);
  printf("\"serverMemoryKiB\":%.0f,\"errors\":%lu,\"lost\":%d,\"missing\":%lu,\"gaps\":%lu,\"duplicates\":%lu}\n",
         servers_memory_kib(), posting.errors, reading.lost, reading.missing, reading.gaps, reading.duplicates);
}

int main(int count, char **arguments) {
  if (count != 2) fail("usage: generator PLAN");
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  plan_read(arguments[1]);
  run_id = (uint32_t)(now_ns() >> 10) ^ (uint32_t)getpid() << 16;
  readers_make();
  switch (plan.mode) {
    case MODE_FANOUT: case MODE_POLL: run_fanout(); break;
    case MODE_IDLE: run_idle(); break;
    case MODE_STORM: run_storm(); break;
    case MODE_REQUESTS: run_requests(); break;
  }
  readers_count_missing();
  print_figures();
  bool is_faulty = posting.errors || reading.lost || reading.missing || reading.gaps || reading.duplicates;
  return is_faulty ? 2 : 0;
}
