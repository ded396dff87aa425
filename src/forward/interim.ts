/** Interim answers (1xx, RFC 9110 15.2): passed on to clients that know them, within a bound. */
import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { endToEndHeaders, groupHeaders, valuesOf } from '../http/headers.ts';

/** An upstream may send so many at once, and one more a second: Node would keep every one of them for a client that does not read. */
const BURST = 1000;
/** And so many bytes of fields in all of those. */
const BYTES = 256 * 1024;

/** Counts the interim answers to one request. */
export class InterimBudget {
  readonly #startedAt = performance.now();
  #count = 0;
  #bytes = 0;

  /** @returns false once it was too many */
  take({ rawHeaders }: InformationEvent): boolean {
    const earned = 1 + (performance.now() - this.#startedAt) / 1000 / BURST;
    this.#count++;
    for (const text of rawHeaders) this.#bytes += text.length;
    return this.#count <= BURST * earned && this.#bytes <= BYTES * earned;
  }
}

/** Passes a 1xx on: 100 to a client that waits for it, 102 and 103 to any that knows 1xx. Others are dropped, as they may be. */
export function relayInformation(information: InformationEvent, req: IncomingMessage, res: ServerResponse): void {
  // RFC 9110 15.2: no 1xx for HTTP/1.0.
  if (req.httpVersion === '1.0' || res.headersSent || res.destroyed) return;
  if (information.statusCode === 100 && valuesOf(req.rawHeaders, 'expect').length > 0) res.writeContinue();
  else if (information.statusCode === 102) res.writeProcessing();
  else if (information.statusCode === 103) relayEarlyHints(information.rawHeaders, res);
}

function relayEarlyHints(rawHeaders: readonly string[], res: ServerResponse): void {
  const hints: Record<string, string | string[]> = {};
  for (const { name, values } of groupHeaders(endToEndHeaders(rawHeaders))) {
    hints[name.toLowerCase()] = name.toLowerCase() === 'link' ? values : values.join(', ');
  }
  try {
    res.writeEarlyHints(hints);
  } catch {
    // Node refuses links that are not of the form it knows. Such a hint is lost, which costs the client some time.
  }
}
