import type { Lesson } from '../../core/adaptive.ts';
import type { ConnectionView } from '../../core/report.ts';

/** A configured route. */
export interface RouteView {
  readonly name: string;
  /** The configured interval towards clients, in ms; `Infinity`: off. */
  readonly intervalMs: number;
  readonly adaptive: boolean;
}

/** Where the status page and `/status` get what is true now. Asked whenever somebody looks. */
export interface StatusSource {
  connections(): Iterable<ConnectionView>;
  /** In the order of the configuration. */
  routes(): readonly RouteView[];
  /** What was learned about fronts, on routes that follow it. */
  lessons(): readonly Lesson[];
  isDraining(): boolean;
}
