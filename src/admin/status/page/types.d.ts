/** What the feed tells, as far as the page uses it. */
import type { EndGroup as EndGroupOf } from '../end-groups.ts';
import type { ClosedRecord, FailedRecord } from '../history.ts';
import type { Hop, Mark, Minute } from '../minutes.ts';
import type { Row as ToldRow, RowChange } from '../row.ts';

export type { Hop, Mark, Minute };

export interface Row extends Omit<ToldRow, 'history'> {
  /** The newest ones. */
  history: ToldRow['history'];
  /** When Pings were sent that nobody has answered. */
  unanswered: number[];
  /** What the filter looks at, and what the row is ordered by. */
  words: string;
  rank: number | string;
}

export type End = ClosedRecord | FailedRecord;
export type EndGroup = EndGroupOf<End>;

export interface Route {
  name: string;
  intervalMs: number | null;
  configuredMs: number | null;
  open: number;
  opened: number;
  cutsPrevented: number;
  closes: Record<string, number>;
  failures: Record<string, number>;
}

export interface Upstream {
  route: string;
  url: string;
  isUp: boolean | null;
  since: number | null;
  error: string | null;
}

interface Lesson {
  route: string;
  front: string;
  cutAfterMs: number;
  intervalMs: number;
}

export interface Overview {
  routes: Route[];
  lessons: Lesson[];
  upstreams: Upstream[];
  limit: number | null;
  draining: boolean;
}

export interface Message extends Partial<Overview> {
  type: 'snapshot' | 'changes';
  now: number;
  wall: number;
  version?: string;
  startedAt?: number;
  rows?: Row[];
  opened?: Row[];
  changed?: RowChange[];
  closed?: string[];
  ends?: EndGroup[];
  minutes?: Minute[];
  marks?: Mark[];
}
