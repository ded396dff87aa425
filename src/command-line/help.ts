/** What `--help` prints: about the program, or about one of its commands. */

const CONFIGURATION = `  --config FILE       YAML file; otherwise ./config.yaml, then /etc/ws-keepalive-proxy/config.yaml
  --upstream URL      server behind: http://, https://, ws://, wss://, or unix:/path; may be repeated:
                      the next one when those before it cannot be reached
  --listen ADDR       where to listen, host:port or unix:/path; may be repeated (0.0.0.0:8080)
  --log-level LEVEL   trace, debug, info, warn, error, fatal or silent (info)`;

const HEALTHCHECK = `  --ready             ask also whether any upstream can be reached`;

const DOCTOR = `  --for TIME          how long the connection has to last, for example 5m (90s)
  --find-timeout      find the idle limits on the way; needs "probe: true" at the other end
  --ladder TIMES      silences to try for that (31s,51s,56s,61s,101s,121s,241s,301s)
  --header 'N: V'     a further header of the handshake, such as a cookie; may be repeated
  --insecure          go on after a certificate that cannot be trusted
  --json              for machines`;

const PRECEDENCE = `Every key of the configuration has an environment variable: keepalive.ping_interval is
WSKP_KEEPALIVE_PING_INTERVAL. Flags win over the environment, the environment over the file.`;

export const HELP = `Usage: ws-keepalive-proxy [options]
       ws-keepalive-proxy check [options]         validate, print the effective configuration
       ws-keepalive-proxy healthcheck [options]   ask the running program, exit 0 or 1
       ws-keepalive-proxy doctor URL [options]    test a public wss:// URL from outside

Keeps quiet WebSockets open between a proxy in front (nginx, HAProxy, ...) and a server behind.

Example:
  ws-keepalive-proxy --upstream http://127.0.0.1:8080 --listen 127.0.0.1:8081

Options:
${CONFIGURATION}
  --demo              run in front of a small upstream of its own
  -h, --help          show this text; after a command, what is about that command
  -v, --version       show the version

Option of healthcheck:
${HEALTHCHECK}

Options of doctor:
${DOCTOR}

${PRECEDENCE}
Exit codes: 0 fine or healthy, 1 failed or unhealthy, 2 bad arguments or configuration.
`;

export const COMMANDS = ['check', 'healthcheck', 'doctor'] as const;

/** One text for each command. */
export const COMMAND_HELP: Readonly<Record<(typeof COMMANDS)[number], string>> = {
  check: `Usage: ws-keepalive-proxy check [options]

Reads the configuration as the proxy would, and listens nowhere. Prints what is in force as YAML, with what
"auto" comes to on this machine; warnings and "ok" go to stderr. Every mistake is told with its place at once.

Example:
  ws-keepalive-proxy check --config config.yaml

Options:
${CONFIGURATION}

${PRECEDENCE}
Exit codes: 0 valid, 2 mistakes.
`,
  healthcheck: `Usage: ws-keepalive-proxy healthcheck [options]

Asks the admin listener of the running program, at the address that the same configuration gives.

Example:
  ws-keepalive-proxy healthcheck --ready

Options:
${HEALTHCHECK}
${CONFIGURATION}

${PRECEDENCE}
Exit codes: 0 healthy, 1 unhealthy or not running, 2 bad arguments or configuration.
`,
  doctor: `Usage: ws-keepalive-proxy doctor URL [options]

Opens a WebSocket as a browser would, and says what is wrong on the way. Reads no configuration.

Example:
  ws-keepalive-proxy doctor 'wss://neko.example.com/ws?password=neko&username=doctor' --for 5m

Options:
${DOCTOR}

Exit codes: 0 fine, 1 something is wrong, 2 bad arguments.
`,
};
