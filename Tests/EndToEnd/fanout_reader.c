// fanout_reader: many SSE streams in one thread, for test_slow_readers.py.
//
//   fanout_reader PORT PATH <targets file>
//
// The file has one "TOKEN DEVICE" a line, one stream each. Every message's content begins with
// "@PHASE:NUMBER:NANOSECONDS@": the publisher's phase, a number that grows by one per message, and when
// (CLOCK_MONOTONIC) it was posted. Commands come on stdin, answers go to stdout, one line each:
//
//   (at start)       ready STREAMS            when every stream has had its first event, stream.ready
//   wait NUMBER      seen NUMBER              when every stream has had that message
//   report PHASE     {"events":…,"p50_us":…}  latencies of all messages of the phase over all streams
//   faults           {"lost":…,"twice":…,"ended":…}
//   quit
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PHASES_MAX = 64, LINE_BYTES_MAX = 64 * 1024, BUCKETS = 20000, READ_BYTES = 64 * 1024 };

/// How far the parsing of one stream is: the head, then chunk after chunk.
enum state { HEAD, CHUNK_SIZE, CHUNK_DATA, CHUNK_END };

struct stream {
    int fd;
    enum state state;
    size_t chunk_left;
    char *line;         // The unfinished line of the head, of a chunk's size or of the event stream.
    size_t line_length;
    char *size_line;    // A chunk's size may come between two halves of an event's line.
    size_t size_length;
    int is_ready;
    long last;          // Number of the last message; -1 before the first.
};

static struct stream *streams;
static int stream_count, ready_count;
static long lost, twice, ended;
// Counts by tens of microseconds; the last bucket takes the rest (0.2 s and more).
static uint32_t *histogram[PHASES_MAX];
static int64_t slowest[PHASES_MAX];

static void die(const char *what) {
    fprintf(stderr, "fanout_reader: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void record(struct stream *stream, int phase, long number, int64_t latency) {
    if (stream->last >= 0 && number > stream->last + 1) lost += number - stream->last - 1;
    if (number <= stream->last) twice++;
    if (number > stream->last) stream->last = number;
    if (phase < 0 || phase >= PHASES_MAX) return;
    if (!histogram[phase]) histogram[phase] = calloc(BUCKETS, sizeof(uint32_t));
    int64_t bucket = latency / 10000;
    histogram[phase][bucket < 0 ? 0 : bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    if (latency > slowest[phase]) slowest[phase] = latency;
}

static void take_line(struct stream *stream, int64_t now) {
    if (strncmp(stream->line, "data:", 5) != 0) return;
    if (!stream->is_ready) {
        stream->is_ready = 1;
        if (++ready_count == stream_count) answer("ready %d", stream_count);
    }
    if (strstr(stream->line, "\"type\":\"message.created\"") == NULL) return;
    char *mark = strstr(stream->line, "\"content\":\"@");
    int phase;
    long number;
    long long sent;
    if (mark && sscanf(mark, "\"content\":\"@%d:%ld:%lld@", &phase, &number, &sent) == 3)
        record(stream, phase, number, now - sent);
}

/// Adds to a line; true when its end was reached, and then it is terminated and without CR.
static int grow(char *line, size_t *length, char byte) {
    if (byte != '\n') {
        if (*length == LINE_BYTES_MAX - 1) die("a line is too long");
        line[(*length)++] = byte;
        return 0;
    }
    if (*length && line[*length - 1] == '\r') --*length;
    line[*length] = 0;
    return 1;
}

static void take(struct stream *stream, const char *data, size_t length, int64_t now) {
    for (size_t i = 0; i < length; i++) {
        char byte = data[i];
        switch (stream->state) {
        case HEAD:
            if (!grow(stream->line, &stream->line_length, byte)) break;
            if (strncmp(stream->line, "HTTP/1.1 ", 9) == 0 && strncmp(stream->line + 9, "200", 3) != 0)
                die(stream->line);
            if (stream->line_length == 0) stream->state = CHUNK_SIZE;
            stream->line_length = 0;
            break;
        case CHUNK_SIZE:
            if (!grow(stream->size_line, &stream->size_length, byte)) break;
            stream->chunk_left = strtoul(stream->size_line, NULL, 16);
            stream->size_length = 0;
            stream->state = stream->chunk_left ? CHUNK_DATA : CHUNK_END;
            break;
        case CHUNK_DATA:
            if (grow(stream->line, &stream->line_length, byte)) {
                take_line(stream, now);
                stream->line_length = 0;
            }
            if (--stream->chunk_left == 0) stream->state = CHUNK_END;
            break;
        case CHUNK_END:
            if (byte == '\n') stream->state = CHUNK_SIZE;
            break;
        }
    }
}

static void open_stream(struct stream *stream, int port, const char *path, const char *token, const char *device) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char request[4096];
    int length = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n"
        "Comblang-Device: %s\r\n\r\n",
        path, token, device);
    stream->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (stream->fd < 0 || connect(stream->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    if (write(stream->fd, request, length) != length) die("write");
    fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    stream->line = malloc(LINE_BYTES_MAX);
    stream->size_line = malloc(LINE_BYTES_MAX);
    stream->last = -1;
}

static void report(int phase) {
    uint64_t count = 0, seen = 0;
    uint32_t *buckets = histogram[phase];
    for (int i = 0; buckets && i < BUCKETS; i++) count += buckets[i];
    long p50 = -1, p99 = -1;
    for (int i = 0; buckets && i < BUCKETS; i++) {
        seen += buckets[i];
        if (p50 < 0 && seen * 2 >= count) p50 = (i + 1) * 10;
        if (p99 < 0 && seen * 100 >= count * 99) p99 = (i + 1) * 10;
    }
    answer("{\"events\":%llu,\"p50_us\":%ld,\"p99_us\":%ld,\"max_us\":%lld}", (unsigned long long)count, p50, p99,
           (long long)slowest[phase] / 1000);
}

static int all_have(long number) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i].last < number) return 0;
    return 1;
}

/// Handles what came on stdin; sets `awaited` to the number to wait for.
static void command(long *awaited) {
    static char text[256];
    static size_t length;
    char byte;
    while (read(0, &byte, 1) == 1) {
        if (!grow(text, &length, byte)) continue;
        length = 0;
        int phase;
        if (sscanf(text, "wait %ld", awaited) == 1) {
            // Answered by the main loop.
        } else if (sscanf(text, "report %d", &phase) == 1 && phase >= 0 && phase < PHASES_MAX) {
            report(phase);
        } else if (strcmp(text, "faults") == 0) {
            answer("{\"lost\":%ld,\"twice\":%ld,\"ended\":%ld}", lost, twice, ended);
        } else {
            exit(strcmp(text, "quit") != 0);
        }
        return;
    }
    exit(0);  // The test has gone.
}

int main(int count, char **arguments) {
    static char buffer[READ_BYTES], token[2048], device[128];
    if (count != 4) die("usage: fanout_reader PORT PATH TARGETS");
    FILE *targets = fopen(arguments[3], "r");
    if (!targets) die(arguments[3]);
    int poll = epoll_create1(0);
    streams = calloc(100000, sizeof *streams);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, 0, &input)) die("epoll");
    while (stream_count < 100000 && fscanf(targets, "%2047s %127s", token, device) == 2) {
        struct stream *stream = &streams[stream_count++];
        open_stream(stream, atoi(arguments[1]), arguments[2], token, device);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, stream->fd, &event)) die("epoll");
    }
    long awaited = -1;
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct stream *stream = events[i].data.ptr;
            if (!stream) {
                command(&awaited);
                continue;
            }
            ssize_t length = read(stream->fd, buffer, sizeof buffer);
            if (length > 0) {
                take(stream, buffer, length, now_ns());
            } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
                ended++;
                close(stream->fd);
            }
        }
        if (awaited >= 0 && all_have(awaited)) {
            answer("seen %ld", awaited);
            awaited = -1;
        }
    }
}
