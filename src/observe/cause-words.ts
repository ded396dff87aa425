/** What each cause and each reason means, in a sentence: for whoever meets one on the status page. */
import type { CloseCause, UpgradeFailureReason } from '../core/events.ts';

export const CAUSE_WORDS: Readonly<Record<CloseCause | UpgradeFailureReason, string>> = {
  close_frame: 'One side said goodbye with a Close frame, as it should. The code says why.',
  reserved_code:
    'A Close frame with a code that must not be sent, such as 1006: Neko does that when it drops a session or stops.',
  abrupt_end:
    'A TCP connection ended without a Close frame: a crash, a lost network, a stopped server, or a proxy in front that cut it.',
  front_idle_cut:
    'The proxy in front cut the connection because nothing had passed for as long as it allows. Shorter ping intervals prevent it.',
  front_lifetime_cut:
    'The proxy in front ends connections at a certain age, however busy they are. Pings cannot prevent it.',
  front_reload:
    'The proxy in front was reloaded or restarted, or its network failed: all of its connections ended together.',
  pong_timeout: 'A side that used to answer Pings has answered nothing in time: it is gone, or hangs.',
  stall: 'A side took none of the bytes that waited for it for the whole of timeouts.stall.',
  close_timeout: 'A side did not answer a Close frame in time. The connection was ending anyway.',
  frame_limit: 'A side sent a frame larger than limits.frame.',
  rate_limit: 'A side sent more control frames than limits.control_frames_per_second.',
  bad_length: 'A side sent a frame length that RFC 6455 forbids, after which nothing can be read.',
  max_age: 'The connection was as old as limits.age lets one become. Clients come back by themselves.',
  drain: 'This proxy was stopped and ended its connections.',
  internal_error: 'A defect in this proxy. The log has an error line with the same id.',
  bad_request: 'The handshake was not valid, or the proxy in front took its Upgrade away.',
  origin: 'The page comes from an origin that allowed_origins does not name.',
  no_route: 'No route fits the host and the path.',
  limit: 'A limit on connections is reached, or the process is out of descriptors.',
  upstream_unreachable: 'The upstream took no connection: it is not running, or its address is wrong.',
  upstream_timeout: 'The upstream did not answer in time.',
  upstream_refused: 'The upstream answered with another status than 101; its answer was passed on.',
  upstream_invalid: 'What the upstream answered is no valid WebSocket handshake.',
  client_gone: 'The client left before the connection was established.',
};
