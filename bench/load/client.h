// A WebSocket client: its handshake, the messages it sends and the echoes it compares. Who loses one decides what that means.
#include "common.h"

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
  uint64_t first_at, tried_at;  // storms: when it first tried, and last, in ns
};

static int epoll, port, conns, inflight = 1, opened;
static bool quiet;  // echoes are still awaited, but nothing new is sent
static int in_flight;
static uint64_t measure_from = UINT64_MAX, messages, pings;
static size_t size = 64, message_length, header_size;
static uint8_t *stream, *payload, input[CHUNK];
static struct histogram latencies;
static char request[512];

static void lose(struct client *client);
static void on_open(struct client *client);

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

static void prepare_request(void) {
  snprintf(request, sizeof request,
           "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
           port);
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
    if (quiet) in_flight--;
    else client->owed += message_length;
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
  on_open(client);
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

// Has it connect. What it needs for its answer and its messages stays with it.
static void start(struct client *client) {
  client->fd = dial(port);
  if (!client->since) client->since = calloc(inflight, sizeof *client->since);
  if (!client->answer) client->answer = malloc(ANSWER_BYTES + 1);
  client->answer_length = 0;
  client->gone = false;
  watch(epoll, EPOLL_CTL_ADD, client->fd, EPOLLOUT, client);
}

static void send_first(struct client *clients) {
  for (struct client *client = clients; client < clients + conns; client++) {
    if (client->gone || !client->open) continue;
    uint64_t now = nanoseconds();
    for (int i = 0; i < inflight; i++) client->since[i] = now;
    client->owed = inflight * message_length;
    in_flight += inflight;
    if (!flush_out(client)) lose(client);
  }
}

// Returns whether standard input, if it is watched, has something or has ended.
static bool poll_once(int timeout_ms) {
  static struct epoll_event events[EVENTS];
  bool told = false;
  int count = epoll_wait(epoll, events, EVENTS, timeout_ms);
  for (int i = 0; i < count; i++) {
    struct client *client = events[i].data.ptr;
    if (!client) told = true;
    else if (!client->gone && !on_event(client, events[i].events)) lose(client);
  }
  return told;
}
