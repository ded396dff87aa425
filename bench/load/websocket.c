// WebSocket clients: a closed loop of messages, or connections that are only held.
//
//   websocket load PORT conns=50 size=64 inflight=1 secs=3 warm=1
//   websocket hold PORT conns=4000            until standard input ends
//
// A line of JSON once all connections are open (`hold`) or measuring starts (`load`), one at the end. Every echoed byte is compared. Exit code 1: some
// connections failed or died.
#include "common.h"

#define CONNECTING_AT_ONCE 128
#define OPEN_PATIENCE_NS 60000000000ull
#define ANSWER_BYTES 4096

struct client {
  int fd;
  bool open, gone, waits;
  struct reader reader;
  uint64_t owed, sent;  // bytes of messages: what goes out is the same message over and over
  uint8_t pong[6 + 125];
  size_t pong_length, pong_at;
  uint64_t *since;  // when each message in flight was sent, in ns
  int oldest;
  size_t answer_length;
  char *answer;
};

static int epoll, port, conns, inflight, opened, failed, died, started;
static bool holds;
static uint64_t measure_from = UINT64_MAX, messages, pings;
static size_t size, message_length, header_size;
static uint8_t *stream, *payload, input[CHUNK];
static struct histogram latencies;
static char request[512];

// The key is zero, so masking costs the generator nothing; the echo server pays for it all the same.
static void prepare_messages(void) {
  payload = malloc(size + 1);
  for (size_t i = 0; i < size; i++) payload[i] = 'a' + i % 26;
  uint8_t header[14];
  header_size = write_header(header, 0x81, size, 128) + 4;
  memset(header + header_size - 4, 0, 4);
  message_length = header_size + size;
  stream = malloc(message_length * (inflight + 1));
  for (int i = 0; i <= inflight; i++) {
    memcpy(stream + i * message_length, header, header_size);
    memcpy(stream + i * message_length + header_size, payload, size);
  }
}

static void lose(struct client *client) {
  close(client->fd);
  client->gone = true;
  if (client->open) died++;
  else failed++;
}

// Sends messages, and a Pong between two of them.
static bool flush_out(struct client *client) {
  while (client->owed || client->pong_length) {
    size_t into = client->sent % message_length;
    bool pong = client->pong_length && into == 0;
    size_t length = client->pong_length && !pong ? message_length - into : client->owed;
    if (length > message_length * (inflight + 1) - into) length = message_length * (inflight + 1) - into;
    ssize_t sent = pong ? write(client->fd, client->pong + client->pong_at, client->pong_length - client->pong_at)
                        : write(client->fd, stream + into, length);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) break;
    if (!pong) client->sent += sent, client->owed -= sent;
    else if ((client->pong_at += sent) == client->pong_length) client->pong_length = client->pong_at = 0;
  }
  bool waits = client->owed || client->pong_length;
  if (waits != client->waits) watch(epoll, EPOLL_CTL_MOD, client->fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN, client);
  client->waits = waits;
  return true;
}

static bool take_payload(struct client *client, const uint8_t *bytes, size_t length) {
  struct reader *reader = &client->reader;
  if (reader->opcode == OP_PING && client->pong_at == 0) {
    memcpy(client->pong + 6 + reader->at, bytes, length);
  } else if (reader->opcode < OP_CLOSE && (reader->length != size || memcmp(bytes, payload + reader->at, length))) {
    fprintf(stderr, "an echo differs from what was sent\n");
    exit(3);
  }
  reader->at += length;
  return reader->opcode != OP_CLOSE;
}

static void finish_frame(struct client *client, uint64_t now) {
  struct reader *reader = &client->reader;
  if (reader->opcode == OP_PING) {
    pings++;
    if (client->pong_at == 0) {
      write_header(client->pong, 0x80 | OP_PONG, reader->length, 128);
      memset(client->pong + 2, 0, 4);
      client->pong_length = 6 + reader->length;
    }
  } else if (reader->opcode < OP_CLOSE) {
    if (now >= measure_from) messages++, record(&latencies, now - client->since[client->oldest]);
    client->since[client->oldest] = now;
    client->oldest = (client->oldest + 1) % inflight;
    client->owed += message_length;
  }
  next_frame(reader);
}

static bool take_frames(struct client *client, const uint8_t *bytes, size_t length) {
  struct reader *reader = &client->reader;
  uint64_t now = nanoseconds();
  size_t at = 0;
  while (at < length || (reader->in_payload && reader->at == reader->length)) {
    if (!reader->in_payload) at += read_header(reader, bytes + at, length - at);
    if (!reader->in_payload) break;
    size_t left = reader->length - reader->at, piece = length - at < left ? length - at : left;
    if (!take_payload(client, bytes + at, piece)) return false;
    at += piece;
    if (reader->at < reader->length) break;
    finish_frame(client, now);
  }
  return flush_out(client);
}

static bool take_answer(struct client *client, const uint8_t *bytes, size_t length) {
  if (client->answer_length + length > ANSWER_BYTES) return false;
  memcpy(client->answer + client->answer_length, bytes, length);
  client->answer_length += length;
  client->answer[client->answer_length] = 0;
  char *end = strstr(client->answer, "\r\n\r\n");
  if (!end) return true;
  if (strncmp(client->answer, "HTTP/1.1 101", 12)) return false;
  client->open = true;
  opened++;
  size_t rest = client->answer_length - (end + 4 - client->answer);
  bool fine = rest == 0 || take_frames(client, (uint8_t *)end + 4, rest);
  free(client->answer);
  client->answer = NULL;
  return fine;
}

static bool on_event(struct client *client, uint32_t events) {
  if (events & EPOLLOUT && !client->open) {
    if (write(client->fd, request, strlen(request)) != (ssize_t)strlen(request)) return false;
    watch(epoll, EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
  } else if (events & EPOLLOUT && !flush_out(client)) {
    return false;
  }
  if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP))) return true;
  ssize_t length = read(client->fd, input, CHUNK);
  if (length == 0 || (length < 0 && errno != EAGAIN)) return false;
  return length < 0 || (client->open ? take_frames : take_answer)(client, input, length);
}

static void start(struct client *client) {
  client->fd = dial(port);
  client->answer = malloc(ANSWER_BYTES + 1);
  client->since = calloc(inflight, sizeof *client->since);
  watch(epoll, EPOLL_CTL_ADD, client->fd, EPOLLOUT, client);
  started++;
}

static void send_first(struct client *clients) {
  for (struct client *client = clients; client < clients + conns; client++) {
    if (client->gone) continue;
    uint64_t now = nanoseconds();
    for (int i = 0; i < inflight; i++) client->since[i] = now;
    client->owed = inflight * message_length;
    if (!flush_out(client)) lose(client);
  }
}

// Returns whether standard input has ended.
static bool poll_once(void) {
  static struct epoll_event events[EVENTS];
  bool ended = false;
  int count = epoll_wait(epoll, events, EVENTS, 100);
  for (int i = 0; i < count; i++) {
    struct client *client = events[i].data.ptr;
    if (!client) ended = true;
    else if (!client->gone && !on_event(client, events[i].events)) lose(client);
  }
  return ended;
}

static double open_all(struct client *clients) {
  uint64_t from = nanoseconds();
  while (opened + failed < conns) {
    while (started < conns && started - opened - failed < CONNECTING_AT_ONCE) start(&clients[started]);
    poll_once();
    if (nanoseconds() - from > OPEN_PATIENCE_NS) {
      fprintf(stderr, "only %d of %d connections opened\n", opened, conns);
      exit(1);
    }
  }
  return (nanoseconds() - from) / 1e9;
}

static double run_load(struct client *clients, double warm, double secs) {
  send_first(clients);
  measure_from = nanoseconds() + (uint64_t)(warm * 1e9);
  uint64_t until = measure_from + (uint64_t)(secs * 1e9);
  while (nanoseconds() < measure_from) poll_once();
  if (secs > 0) announce_measuring();
  while (nanoseconds() < until) poll_once();
  return (nanoseconds() - measure_from) / 1e9;
}

static void hold(double open_seconds) {
  printf("{\"opened\":%d,\"open_s\":%.4f}\n", opened, open_seconds);
  fflush(stdout);
  watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
  while (!poll_once()) continue;
}

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: websocket load|hold PORT [name=value ...]\n"), 2;
  prepare_process();
  holds = !strcmp(argv[1], "hold");
  port = atoi(argv[2]);
  conns = atoi(argument(argc, argv, "conns", "50"));
  inflight = atoi(argument(argc, argv, "inflight", "1"));
  size = atol(argument(argc, argv, "size", "64"));
  if (conns < 1 || inflight < 1) return fprintf(stderr, "conns and inflight are at least 1\n"), 2;
  snprintf(request, sizeof request,
           "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
           port);
  prepare_messages();
  epoll = epoll_create1(0);
  struct client *clients = calloc(conns, sizeof *clients);
  double open_seconds = open_all(clients), seconds = 0;
  if (holds) hold(open_seconds);
  else seconds = run_load(clients, atof(argument(argc, argv, "warm", "1")), atof(argument(argc, argv, "secs", "3")));
  printf("{\"opened\":%d,\"failed\":%d,\"died\":%d,\"open_s\":%.4f,\"rate\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f,"
         "\"p999_us\":%.2f,\"pings\":%llu}\n",
         opened, failed, died, open_seconds, seconds > 0 ? messages / seconds : 0, percentile(&latencies, 0.5),
         percentile(&latencies, 0.99), percentile(&latencies, 0.999), (unsigned long long)pings);
  return failed || died ? 1 : 0;
}
