// WebSocket clients: a closed loop of messages, or connections that are only held.
//
//   websocket load PORT conns=50 size=64 inflight=1 secs=3 warm=1
//   websocket hold PORT conns=4000            until standard input ends
//
// A line of JSON once all connections are open (`hold`) or measuring starts (`load`), one at the end. Every echoed byte is compared. Exit code 1: some
// connections failed or died.
#include "client.h"

#define CONNECTING_AT_ONCE 128
#define OPEN_PATIENCE_NS 60000000000ull

static int failed, died;

static void lose(struct client *client) {
  close(client->fd);
  client->gone = true;
  if (client->open) died++;
  else failed++;
}

static void on_open(struct client *client) {
  (void)client;
}

static double open_all(struct client *clients) {
  uint64_t from = nanoseconds();
  int started = 0;
  while (opened + failed < conns) {
    while (started < conns && started - opened - failed < CONNECTING_AT_ONCE) start(&clients[started++]);
    poll_once(100);
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
  while (nanoseconds() < measure_from) poll_once(100);
  if (secs > 0) announce_measuring();
  while (nanoseconds() < until) poll_once(100);
  return (nanoseconds() - measure_from) / 1e9;
}

static void hold(double open_seconds) {
  printf("{\"opened\":%d,\"open_s\":%.4f}\n", opened, open_seconds);
  fflush(stdout);
  watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
  while (!poll_once(100)) continue;
}

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: websocket load|hold PORT [name=value ...]\n"), 2;
  prepare_process();
  bool holds = !strcmp(argv[1], "hold");
  port = atoi(argv[2]);
  conns = atoi(argument(argc, argv, "conns", "50"));
  inflight = atoi(argument(argc, argv, "inflight", "1"));
  size = atol(argument(argc, argv, "size", "64"));
  if (conns < 1 || inflight < 1) return fprintf(stderr, "conns and inflight are at least 1\n"), 2;
  prepare_request();
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
