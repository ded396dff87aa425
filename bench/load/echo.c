// The upstream of every system: a WebSocket echo server that answers plain HTTP as well. One thread.
//
//   echo PORT
//
// Frames are echoed as a stream, Pings and Closes answered, Pongs dropped. GET /bytes/N brings N bytes, any other path `true`.
#include "common.h"

#define REQUEST_BYTES 4096

struct peer {
  int fd;
  bool upgraded, ending;
  struct reader reader;
  uint8_t *pending;  // what did not go out at once; nothing is read until it has
  size_t pending_length, pending_at;
  uint64_t body_left;
  size_t request_length;
  char request[REQUEST_BYTES + 1];
};

static int epoll;
static uint8_t input[CHUNK], output[CHUNK + 64], body[CHUNK];

// ---- SHA-1 (RFC 3174) of less than 119 bytes, and base64, for Sec-WebSocket-Accept (RFC 6455 section 4.2.2)

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1_block(const uint8_t *block, uint32_t hash[5]) {
  uint32_t words[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
  for (int i = 0; i < 16; i++)
    words[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; i++) words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  for (int i = 0; i < 80; i++) {
    uint32_t mix = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                   : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                   : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                            : (b ^ c ^ d) + 0xCA62C1D6;
    uint32_t next = rotate(a, 5) + mix + e + words[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

static void sha1(const char *text, size_t length, uint8_t digest[20]) {
  uint8_t blocks[128] = {0};
  size_t total = length + 9 <= 64 ? 64 : 128;
  memcpy(blocks, text, length);
  blocks[length] = 0x80;
  for (int i = 0; i < 4; i++) blocks[total - 1 - i] = (uint8_t)(length * 8 >> 8 * i);
  uint32_t hash[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  for (size_t at = 0; at < total; at += 64) sha1_block(blocks + at, hash);
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64_digest(const uint8_t digest[20], char out[29]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < 28; i++) {
    uint32_t bits = 0;
    for (int k = 0; k < 3; k++) bits = bits << 8 | (i / 4 * 3 + k < 20 ? digest[i / 4 * 3 + k] : 0);
    out[i] = letters[bits >> (18 - 6 * (i % 4)) & 63];
  }
  out[27] = '=';
  out[28] = 0;
}

// ---- writing

static void leave(struct peer *peer) {
  close(peer->fd);
  free(peer->pending);
  free(peer);
}

// Reading stops while something waits to go out.
static void keep(struct peer *peer, const uint8_t *rest, size_t length) {
  peer->pending = malloc(length);
  memcpy(peer->pending, rest, length);
  peer->pending_length = length;
  peer->pending_at = 0;
}

static bool send_bytes(struct peer *peer, const void *bytes, size_t length) {
  ssize_t sent = write(peer->fd, bytes, length);
  if (sent < 0 && errno != EAGAIN) return false;
  if (sent < 0) sent = 0;
  if ((size_t)sent < length) keep(peer, (const uint8_t *)bytes + sent, length - sent);
  return true;
}

static bool flush_pending(struct peer *peer) {
  if (!peer->pending) return true;
  ssize_t sent = write(peer->fd, peer->pending + peer->pending_at, peer->pending_length - peer->pending_at);
  if (sent < 0) return errno == EAGAIN;
  peer->pending_at += sent;
  if (peer->pending_at < peer->pending_length) return true;
  free(peer->pending);
  peer->pending = NULL;
  return true;
}

static bool flush_body(struct peer *peer) {
  while (peer->body_left > 0 && !peer->pending) {
    ssize_t sent = write(peer->fd, body, peer->body_left < CHUNK ? peer->body_left : CHUNK);
    if (sent < 0) return errno == EAGAIN;
    peer->body_left -= sent;
  }
  return true;
}

// ---- HTTP

static bool upgrade(struct peer *peer, const char *key) {
  char text[128], accept[29], answer[256];
  uint8_t digest[20];
  while (*key == ' ') key++;
  int length = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  sha1(text, length, digest);
  base64_digest(digest, accept);
  peer->upgraded = true;
  return send_bytes(peer, answer,
                    snprintf(answer, sizeof answer,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: %s\r\n\r\n",
                             accept));
}

static bool answer(struct peer *peer) {
  unsigned long long bytes = 0;
  char head[256];
  bool large = sscanf(peer->request, "GET /bytes/%llu", &bytes) == 1;
  int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n%s",
                        large ? bytes : 4, large ? "" : "true");
  peer->body_left = bytes;
  return send_bytes(peer, head, length) && flush_body(peer);
}

// One request at a time: nobody here sends a second one, or frames, before the answer.
static bool take_request(struct peer *peer, const uint8_t *bytes, size_t length) {
  if (peer->request_length + length > REQUEST_BYTES) return false;
  memcpy(peer->request + peer->request_length, bytes, length);
  peer->request_length += length;
  peer->request[peer->request_length] = 0;
  if (!strstr(peer->request, "\r\n\r\n")) return true;
  peer->request_length = 0;
  const char *key = strcasestr(peer->request, "\r\nsec-websocket-key:");
  return key ? upgrade(peer, key + strlen("\r\nsec-websocket-key:")) : answer(peer);
}

// ---- frames

// Unmasks while copying; `at` is where in the payload this piece stands.
static void copy_unmasked(uint8_t *to, const uint8_t *from, size_t length, const uint8_t *key, uint64_t at) {
  uint8_t turned[8];
  for (int i = 0; i < 8; i++) turned[i] = key[(at + i) & 3];
  uint64_t wide, word;
  memcpy(&wide, turned, 8);
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    memcpy(&word, from + i, 8);
    word ^= wide;
    memcpy(to + i, &word, 8);
  }
  for (; i < length; i++) to[i] = from[i] ^ turned[i & 7];
}

static size_t echo_header(struct reader *reader, uint8_t *out) {
  uint8_t first = reader->opcode == OP_PING ? 0x80 | OP_PONG : reader->head[0];
  return reader->opcode == OP_PONG ? 0 : write_header(out, first, reader->length, 0);
}

static bool echo_frames(struct peer *peer, const uint8_t *bytes, size_t length) {
  struct reader *reader = &peer->reader;
  size_t at = 0, out = 0;
  while (at < length || (reader->in_payload && reader->at == reader->length)) {
    if (!reader->in_payload) {
      at += read_header(reader, bytes + at, length - at);
      if (!reader->in_payload) break;
      if (!(reader->head[1] & 128)) return false;
      out += echo_header(reader, output + out);
    }
    size_t piece = length - at < reader->length - reader->at ? length - at : reader->length - reader->at;
    if (reader->opcode != OP_PONG) {
      copy_unmasked(output + out, bytes + at, piece, reader->head + reader->have - 4, reader->at);
      out += piece;
    }
    at += piece;
    reader->at += piece;
    if (reader->at < reader->length) break;
    if (reader->opcode == OP_CLOSE) peer->ending = true;
    next_frame(reader);
  }
  return out == 0 || send_bytes(peer, output, out);
}

// ---- events

static bool on_event(struct peer *peer, uint32_t events) {
  bool waited = peer->pending || peer->body_left;
  if (!flush_pending(peer) || !flush_body(peer)) return false;
  bool waits = peer->pending || peer->body_left;
  if (!waits && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t length = read(peer->fd, input, CHUNK);
    if (length == 0 || (length < 0 && errno != EAGAIN)) return false;
    if (length > 0 && !(peer->upgraded ? echo_frames : take_request)(peer, input, length)) return false;
    waits = peer->pending || peer->body_left;
  }
  if (waits != waited) watch(epoll, EPOLL_CTL_MOD, peer->fd, waits ? EPOLLOUT : EPOLLIN, peer);
  // RFC 6455 section 7.1.1: the server ends TCP first.
  return waits || !peer->ending;
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    no_delay(fd);
    struct peer *peer = calloc(1, sizeof *peer);
    peer->fd = fd;
    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: echo PORT\n"), 2;
  prepare_process();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = loopback(atoi(argv[1]));
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) die("listen");
  epoll = epoll_create1(0);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
  static struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct peer *peer = events[i].data.ptr;
      if (!peer) accept_all(listener);
      else if (!on_event(peer, events[i].events)) leave(peer);
    }
  }
}
