// What the echo server and the generators share: clock, sockets, frame headers, a latency histogram.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 1024
#define CHUNK (256 * 1024)

__attribute__((unused)) static _Noreturn void die(const char *what) {
  perror(what);
  exit(2);
}

__attribute__((unused)) static uint64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// As many descriptors as the system allows, and a write to a closed socket is an error, not a signal.
__attribute__((unused)) static void prepare_process(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  signal(SIGPIPE, SIG_IGN);
}

static void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

__attribute__((unused)) static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// Starts connecting. The result is seen with the first event.
__attribute__((unused)) static int dial(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  no_delay(fd);
  struct sockaddr_in address = loopback(port);
  if (connect(fd, (void *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
  return fd;
}

__attribute__((unused)) static void watch(int epoll, int operation, int fd, uint32_t events, void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(epoll, operation, fd, &event)) die("epoll_ctl");
}

// Value of `name=` among the arguments, or what it is without one.
__attribute__((unused)) static const char *argument(int argc, char **argv, const char *name, const char *otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++)
    if (!strncmp(argv[i], name, length) && argv[i][length] == '=') return argv[i] + length + 1;
  return otherwise;
}

// Lets the reader look at the proxy's CPU time from here on.
__attribute__((unused)) static void announce_measuring(void) {
  puts("{}");
  fflush(stdout);
}

// ---- frames (RFC 6455 section 5.2), read as a stream: payloads pass in whatever pieces they come

enum { OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct reader {
  uint8_t head[14];
  uint8_t have;   // bytes of the header that are here
  bool in_payload;
  uint8_t opcode;
  uint64_t length, at;  // of the payload
};

static size_t header_length(uint8_t second) {
  uint8_t length = second & 127;
  return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (second & 128 ? 4 : 0);
}

// Takes what belongs to the header. Returns how many bytes; `in_payload` is set once it is whole.
__attribute__((unused)) static size_t read_header(struct reader *r, const uint8_t *p, size_t n) {
  size_t taken = 0;
  while (taken < n && (r->have < 2 || r->have < header_length(r->head[1]))) r->head[r->have++] = p[taken++];
  if (r->have < 2 || r->have < header_length(r->head[1])) return taken;
  uint8_t length = r->head[1] & 127;
  int wide = length == 126 ? 2 : length == 127 ? 8 : 0;
  r->length = wide ? 0 : length;
  for (int i = 0; i < wide; i++) r->length = r->length << 8 | r->head[2 + i];
  r->opcode = r->head[0] & 15;
  r->at = 0;
  r->in_payload = true;
  return taken;
}

__attribute__((unused)) static void next_frame(struct reader *r) {
  r->have = 0;
  r->in_payload = false;
}

// Writes an unmasked header, or the unmasked part of a masked one. Returns its length.
__attribute__((unused)) static size_t write_header(uint8_t *out, uint8_t first, uint64_t length, uint8_t mask_bit) {
  out[0] = first;
  if (length < 126) {
    out[1] = mask_bit | (uint8_t)length;
    return 2;
  }
  int wide = length < 65536 ? 2 : 8;
  out[1] = mask_bit | (wide == 2 ? 126 : 127);
  for (int i = 0; i < wide; i++) out[2 + i] = (uint8_t)(length >> 8 * (wide - 1 - i));
  return 2 + wide;
}

// ---- latencies: 128 buckets for every doubling, so a percentile is right to 0.8 %

#define STEPS 128

struct histogram {
  uint64_t counts[64 * STEPS], total;
};

__attribute__((unused)) static void record(struct histogram *h, uint64_t ns) {
  if (ns < STEPS) ns = STEPS;
  int shift = 63 - __builtin_clzll(ns) - 7;
  h->counts[shift * STEPS + (ns >> shift) - STEPS]++;
  h->total++;
}

// In microseconds.
__attribute__((unused)) static double percentile(const struct histogram *h, double share) {
  uint64_t before = 0, wanted = (uint64_t)(h->total * share);
  for (int i = 0; i < 64 * STEPS; i++) {
    before += h->counts[i];
    if (before > wanted) return (double)((uint64_t)(i % STEPS + STEPS) << i / STEPS) / 1000;
  }
  return 0;
}
