/** Why an address cannot be listened on, and what to do about it. */
import type { ListenAddress } from '../core/settings.ts';

/** Keeps the system's error as `cause` and its `code`. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: string | undefined;

  /** @param key of the configuration that gave the address */
  constructor(key: string, address: ListenAddress, error: NodeJS.ErrnoException) {
    const others = key === 'admin.listen' ? 'another address, or off' : 'another address';
    const why = explain(error, address).replace('another address', others);
    super(`${key}: cannot listen on ${placeOf(address)}: ${why}`, { cause: error });
    this.code = error.code;
  }
}

function placeOf(address: ListenAddress): string {
  if (address.kind === 'fd') return `fd:${address.fd}`;
  return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

function explain({ code, message }: NodeJS.ErrnoException, address: ListenAddress): string {
  if (address.kind === 'fd') return `${message}${passedSockets(process.env, process.pid)}`;
  const reasons = address.kind === 'unix' ? UNIX : TCP;
  const reason = reasons[code ?? ''];
  return reason === undefined ? message : reason.replace(';', ` (${code});`);
}

/** What systemd says it has passed (sd_listen_fds(3)), where that is no help or contradicts. */
export function passedSockets(env: NodeJS.ProcessEnv, pid: number): string {
  const { LISTEN_FDS: count, LISTEN_PID: owner } = env;
  if (count === undefined) return '; start it from a socket unit of systemd, or write host:port';
  if (owner !== undefined && Number(owner) !== pid)
    return `; LISTEN_PID says that sockets are for process ${owner}, and this is ${pid}: start it with exec`;
  const last = 2 + Number(count);
  return `; LISTEN_FDS says that ${count} came: ${last > 3 ? `fd:3 to fd:${last}` : `only fd:3`}`;
}

const TCP: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken; stop what listens there, or choose another address',
  EACCES:
    'this user may not use the port; choose one from 1024 on, or allow it (AmbientCapabilities=CAP_NET_BIND_SERVICE)',
  EPERM:
    'this user may not use the port; choose one from 1024 on, or allow it (AmbientCapabilities=CAP_NET_BIND_SERVICE)',
  EADDRNOTAVAIL: 'this machine does not have the address; write 0.0.0.0 or [::] for all that it has',
  EAFNOSUPPORT: 'this machine has no IPv6; write an IPv4 address, or 0.0.0.0 for all of them',
  ENOTFOUND: 'the name is not known; write an address, or 0.0.0.0 for all that this machine has',
  EAI_AGAIN: 'the name cannot be looked up; write an address, or 0.0.0.0 for all that this machine has',
};

const UNIX: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; stop it, or choose another path',
  EACCES: 'this user may not write to the folder; give it the right to, or choose another path',
  EPERM: 'this user may not write to the folder; give it the right to, or choose another path',
  EROFS: 'the file system is read-only; choose another path',
  ENOENT: 'the folder does not exist; make it first',
  ENOTDIR: 'the folder does not exist; make it first',
};
