// HTTP clients: a closed loop of requests on kept connections.
//
//   http PORT conns=50 secs=3 warm=1 path=/      requests per second and latencies
//   http PORT conns=1 requests=1 path=/bytes/N   until so many answers came: bytes per second
//
// A line of JSON when measuring starts, one at the end. Exit code 1: an answer was not 200, had no Content-Length, or a connection ended.
#include "common.h"

#define HEAD_BYTES 8192

struct client {
  int fd;
  bool has_request;   // sent, not yet answered whole
  uint64_t since;     // when it was sent, in ns
  uint64_t body_left;
  bool in_body;
  size_t head_length;
  char head[HEAD_BYTES + 1];
};

static int epoll;
static char request[1024];
static uint8_t input[CHUNK];
static uint64_t measure_from, answers, body_bytes;
static struct histogram latencies;

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void ask(struct client *client) {
  client->since = nanoseconds();
  client->head_length = 0;
  client->in_body = false;
  if (write(client->fd, request, strlen(request)) != (ssize_t)strlen(request)) fail("a request could not be sent");
}

// Returns how many of the bytes belong to the head.
static size_t take_head(struct client *client, const uint8_t *bytes, size_t length) {
  size_t before = client->head_length, fits = HEAD_BYTES - before < length ? HEAD_BYTES - before : length;
  memcpy(client->head + before, bytes, fits);
  client->head_length += fits;
  client->head[client->head_length] = 0;
  char *end = strstr(client->head, "\r\n\r\n");
  if (!end && client->head_length == HEAD_BYTES) fail("the head of an answer is too long");
  if (!end) return length;
  if (strncmp(client->head, "HTTP/1.1 200", 12)) fail("an answer was not 200");
  char *field = strcasestr(client->head, "\r\ncontent-length:");
  if (!field || field > end) fail("an answer has no Content-Length");
  client->body_left = strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
  client->in_body = true;
  return end + 4 - client->head - before;
}

static void take(struct client *client, const uint8_t *bytes, size_t length) {
  size_t at = client->in_body ? 0 : take_head(client, bytes, length);
  if (!client->in_body) return;
  size_t piece = length - at;
  if (piece > client->body_left) fail("an answer is longer than its Content-Length");
  client->body_left -= piece;
  uint64_t now = nanoseconds();
  if (now >= measure_from) body_bytes += piece;
  if (client->body_left > 0) return;
  if (now >= measure_from) answers++, record(&latencies, now - client->since);
  ask(client);
}

static void on_event(struct client *client, uint32_t events) {
  if (events & EPOLLOUT) {
    watch(epoll, EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
    ask(client);
    return;
  }
  ssize_t length = read(client->fd, input, CHUNK);
  if (length == 0 || (length < 0 && errno != EAGAIN)) fail("a connection has ended");
  if (length > 0) take(client, input, length);
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: http PORT [name=value ...]\n"), 2;
  prepare_process();
  int port = atoi(argv[1]), conns = atoi(argument(argc, argv, "conns", "50"));
  uint64_t requests = strtoull(argument(argc, argv, "requests", "0"), NULL, 10);
  double secs = atof(argument(argc, argv, "secs", "3")), warm = requests ? 0 : atof(argument(argc, argv, "warm", "1"));
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n",
           argument(argc, argv, "path", "/"), port);
  epoll = epoll_create1(0);
  struct client *clients = calloc(conns, sizeof *clients);
  measure_from = nanoseconds() + (uint64_t)(warm * 1e9);
  for (int i = 0; i < conns; i++) {
    clients[i].fd = dial(port);
    watch(epoll, EPOLL_CTL_ADD, clients[i].fd, EPOLLOUT, &clients[i]);
  }
  uint64_t until = requests ? UINT64_MAX : measure_from + (uint64_t)(secs * 1e9);
  static struct epoll_event events[EVENTS];
  bool measures = false;
  while (nanoseconds() < until && (!requests || answers < requests)) {
    if (!measures && nanoseconds() >= measure_from) measures = true, announce_measuring();
    int count = epoll_wait(epoll, events, EVENTS, 100);
    for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
  }
  double seconds = (nanoseconds() - measure_from) / 1e9;
  printf("{\"rate\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"mb_per_s\":%.2f}\n", answers / seconds,
         percentile(&latencies, 0.5), percentile(&latencies, 0.99), body_bytes / seconds / 1e6);
  return 0;
}
