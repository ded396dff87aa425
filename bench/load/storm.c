// A storm of WebSocket clients: they all come at once, send messages for a while, are quiet, and all leave at once.
//
//   storm PORT conns=9000 step=0 echo=1
//
// Each phase ends with a line of JSON, and the next one begins with a line on standard input: back, echoed, left. With `step` so many come at
// a time, the next when all of them are in. As behind a page that reconnects, a client that was refused, or thrown out before its
// 101, comes again after a second and up to a half, and one without an answer gives up after 15 s. When standard input ends too
// early, or after a minute and a half, it says how far it came. Exit code 1: not all got in, or some were lost.
#include "client.h"

#define AGAIN_NS 1000000000ull
#define AGAIN_SPREAD_MS 500
#define ANSWER_PATIENCE_NS 15000000000ull
#define BACK_PATIENCE_NS 90000000000ull
#define ECHO_PATIENCE_NS 5000000000ull
#define LOOK_NS 10000000ull
// Answers are read in between, or the generator's own work would hold the first clients up.
#define DIALS_IN_A_ROW 256

static struct client *clients;
static struct histogram handshakes;
static uint64_t again;
static int died, most;
static bool leaving;

static void lose(struct client *client) {
  close(client->fd);
  client->gone = true;
  if (leaving) return;
  if (client->open) died++, opened--;
  client->open = false;
}

static void on_open(struct client *client) {
  record(&handshakes, nanoseconds() - client->first_at);
  if (opened > most) most = opened;
}

static void try(struct client *client, uint64_t now) {
  if (client->first_at == 0) client->first_at = now;
  else again++;
  client->tried_at = now;
  start(client);
}

// Those that were refused come again, those that wait too long give up first.
static void try_again(int started) {
  uint64_t now = nanoseconds();
  for (int i = 0; i < started; i++) {
    struct client *client = &clients[i];
    uint64_t since = now - client->tried_at, pause = AGAIN_NS + (uint64_t)(i * 7919 % AGAIN_SPREAD_MS) * 1000000;
    if (client->open) continue;
    if (client->gone && since > pause) try(client, now);
    else if (!client->gone && since > ANSWER_PATIENCE_NS) lose(client);
  }
}

static void tell(const char *phase, uint64_t from) {
  printf("{\"phase\":\"%s\",\"seconds\":%.4f,\"opened\":%d,\"most\":%d,\"died\":%d,\"again\":%llu,\"messages\":%llu,"
         "\"p50_us\":%.0f,\"p99_us\":%.0f}\n",
         phase, (nanoseconds() - from) / 1e9, opened, most, died, (unsigned long long)again,
         (unsigned long long)messages, percentile(&handshakes, 0.5), percentile(&handshakes, 0.99));
  fflush(stdout);
}

static _Noreturn void give_up(uint64_t from) {
  tell("gave up", from);
  exit(1);
}

// How many may have begun by now.
static int allowed(int started, int step) {
  if (step == 0) return conns;
  if (opened < started) return started;
  return started + step < conns ? started + step : conns;
}

static void come(int step) {
  uint64_t from = nanoseconds(), looked = from;
  int started = 0, goal = 0;
  while (opened < conns) {
    if (started == goal) goal = allowed(started, step);
    for (int i = 0; started < goal && i < DIALS_IN_A_ROW; i++) try(&clients[started++], nanoseconds());
    bool told = poll_once(started < goal ? 0 : 10);
    if (told || nanoseconds() - from > BACK_PATIENCE_NS) give_up(from);
    if (nanoseconds() - looked < LOOK_NS) continue;
    try_again(started);
    looked = nanoseconds();
  }
  tell("back", from);
}

static void wait_for_word(void) {
  char word[16];
  uint64_t from = nanoseconds();
  while (!poll_once(100)) continue;
  if (read(STDIN_FILENO, word, sizeof word) <= 0) give_up(from);
}

static void echo(double seconds) {
  uint64_t from = nanoseconds();
  measure_from = from;
  send_first(clients);
  while (nanoseconds() - from < (uint64_t)(seconds * 1e9)) poll_once(10);
  quiet = true;
  while (in_flight > 0 && nanoseconds() - from < ECHO_PATIENCE_NS) poll_once(10);
  tell("echoed", from);
}

static void leave(void) {
  uint64_t from = nanoseconds();
  leaving = true;
  for (int i = 0; i < conns; i++)
    if (!clients[i].gone) lose(&clients[i]);
  tell("left", from);
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: storm PORT [name=value ...]\n"), 2;
  prepare_process();
  port = atoi(argv[1]);
  conns = atoi(argument(argc, argv, "conns", "9000"));
  int step = atoi(argument(argc, argv, "step", "0"));
  if (conns < 1 || step < 0) return fprintf(stderr, "conns is at least 1, step at least 0\n"), 2;
  prepare_request();
  prepare_messages();
  epoll = epoll_create1(0);
  watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
  clients = calloc(conns, sizeof *clients);
  come(step);
  wait_for_word();
  echo(atof(argument(argc, argv, "echo", "1")));
  wait_for_word();
  leave();
  return died > 0 ? 1 : 0;
}
