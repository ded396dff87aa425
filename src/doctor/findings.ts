/** What the doctor tells, for people and machines alike. */

/** `note`: neither good nor bad. `bad` makes the connection unhealthy. */
export type Level = 'ok' | 'note' | 'warn' | 'bad';

/** What was looked at, in the order in which it is told. */
export type Subject = 'name' | 'tcp' | 'tls' | 'room' | 'handshake' | 'rtt' | 'lifetime' | 'pings' | 'timeouts';

export interface Finding {
  readonly subject: Subject;
  readonly level: Level;
  /** One sentence without its full stop. */
  readonly text: string;
  /** What to do about it; may have several lines. Empty when there is nothing to do. */
  readonly advice: string;
  /** The same in figures. Durations are in ms. */
  readonly facts: Facts;
}

export type Fact = string | number | boolean | null | readonly Fact[] | { readonly [name: string]: Fact };
export type Facts = Readonly<Record<string, Fact>>;

export function ok(subject: Subject, text: string, facts: Facts = {}): Finding {
  return { subject, level: 'ok', text, advice: '', facts };
}

export function note(subject: Subject, text: string, advice = '', facts: Facts = {}): Finding {
  return { subject, level: 'note', text, advice, facts };
}

export function warn(subject: Subject, text: string, advice: string, facts: Facts = {}): Finding {
  return { subject, level: 'warn', text, advice, facts };
}

export function bad(subject: Subject, text: string, advice: string, facts: Facts = {}): Finding {
  return { subject, level: 'bad', text, advice, facts };
}

/** `1 day`, `3 Pings`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
